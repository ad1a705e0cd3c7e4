-- The gate of one lane: hands out the times at which its calls may start, to all processes on one account.
--
-- KEYS[1] is a hash that holds its state. ARGV[1] is a question as JSON; gate.py describes it, and the answer. All
-- times are seconds on the server's clock. Those that cross the wire are whole microseconds, and a process uses only
-- their differences to the server's present time.

local AHEAD = 0.25          -- seconds for which times are handed out, if there are that many in them
local NEW = 4               -- part of its share that a process gets at first
local STAYS_ACTIVE = 0.5    -- seconds after its last time for which a process counts among those that share the rate
local LIMIT_HOLDS = 60      -- seconds for which a limit holds after a process with this limit has last asked
local REMEMBERED = 10       -- seconds of which the grants are counted, as AnswerLog counts answers
local SLICES = 4            -- counts a second
local REJOINED = 1          -- seconds after which all processes have found a server that was away
local KEPT = 600            -- seconds until the state of a gate that no process uses is forgotten
local SAME_TIME = 1e-4      -- seconds; the curve is not exact to the last bit

local OWN = { limit_at = -INF, seen = -INF, epoch = 0, granted = 0, expected = 1, rejoining_until = -INF }
for field, default in pairs(OWN) do FIELDS[field] = default end
local TIMES = {
  "opens_at", "closed_until", "grows_since", "opened_at", "began_at", "first_refused_at", "refused_at", "limit_at",
  "rejoining_until",
}

local function number_of(text)
  if text == "inf" then return INF end
  if text == "-inf" then return -INF end
  local number = tonumber(text)
  return number == number and number or nil
end

local function text_of(number)
  if number == INF then return "inf" end
  if number == -INF then return "-inf" end
  return string.format("%.17g", number)
end

local function microseconds(seconds)
  return math.floor(seconds * 1e6 + 0.5)
end

-- Return the fields, until when each process is active, the number of grants in each slice, the times given back, and
-- whether there was a state.
local function load_state(now)
  local g, members, slices, back, is_known = {}, {}, {}, {}, false
  for field, default in pairs(FIELDS) do g[field] = default end
  local raw = redis.call("HGETALL", KEYS[1])
  for i = 1, #raw, 2 do
    local field, text = raw[i], raw[i + 1]
    local number = number_of(text)
    if FIELDS[field] then
      g[field] = number or FIELDS[field]
      is_known = true
    elseif field == "slices" then
      for slice, count in text:gmatch("(%d+):(%d+)") do slices[tonumber(slice)] = tonumber(count) end
    elseif field == "back" then
      for time in text:gmatch("%S+") do back[#back + 1] = number_of(time) end
    elseif field:sub(1, 7) == "active:" then
      members[field] = number or now
    end
  end
  local behind = g.seen - now
  if behind > 0 and g.seen < INF then
    -- The server's clock was set back, or another server took over. No time has passed, then.
    for _, field in ipairs(TIMES) do g[field] = g[field] - behind end
    for member, active_until in pairs(members) do members[member] = active_until - behind end
    back = {}
  end
  g.seen = now
  return g, members, slices, back, is_known
end

local function save_state(g, now, members, slices, back)
  local pairs_of, gone = {}, {}
  for field in pairs(FIELDS) do
    pairs_of[#pairs_of + 1] = field
    pairs_of[#pairs_of + 1] = text_of(g[field])
  end
  for member, active_until in pairs(members) do
    if active_until > now then
      pairs_of[#pairs_of + 1] = member
      pairs_of[#pairs_of + 1] = text_of(active_until)
    else
      gone[#gone + 1] = member
    end
  end
  local counts, times = {}, {}
  for slice, count in pairs(slices) do
    -- Slices far ahead are from before the clock was set back.
    if count > 0 and math.abs(slice / SLICES - now) <= 100 * REMEMBERED and slice / SLICES > now - REMEMBERED then
      counts[#counts + 1] = string.format("%d:%d", slice, count)
    end
  end
  for _, time in ipairs(back) do times[#times + 1] = text_of(time) end
  redis.call(
    "HSET", KEYS[1], "slices", table.concat(counts, " "), "back", table.concat(times, " "), unpack(pairs_of)
  )
  if #gone > 0 then redis.call("HDEL", KEYS[1], unpack(gone)) end
  redis.call("PEXPIRE", KEYS[1], string.format("%d", 1000 * (KEPT + math.max(g.opens_at - now, 0))))
end

local function count_grants(g, slices, at, count)
  local slice = math.floor(at * SLICES)
  slices[slice] = (slices[slice] or 0) + count
  g.granted = g.granted + count
end

local function granted_lately(slices, now)
  local sum = 0
  for slice, count in pairs(slices) do
    if slice / SLICES > now - REMEMBERED and slice / SLICES <= now then sum = sum + count end
  end
  return sum
end

-- A time that is given back is handed out again as that time. As a mere count, several of them would bunch.
local function take_back(g, slices, back, given)
  for _, time in ipairs(given) do
    local at = time / 1e6
    if at >= g.opened_at - SAME_TIME and at < g.opens_at then
      back[#back + 1] = at
      count_grants(g, slices, at, -1)
    end
  end
  table.sort(back)
  -- The last times before ``opens_at`` need no list: the gate opens that much earlier.
  while #back > 0 and math.abs(back[#back] + 1 / rate_at(g, back[#back]) - g.opens_at) < SAME_TIME do
    g.opens_at = table.remove(back)
  end
end

-- Return how many times are handed out and still to come.
local function outstanding(g, now)
  return g.opens_at > now and math.floor((g.opens_at - now) * rate_at(g, now)) or 0
end

-- Return how many calls were answered well since the lane opened, as a refusal of a call that was sent at a time
-- shows: all that were sent before it, since a refusal of any of them would have closed the lane by now.
local function answered_before(g, slices, sent, now)
  -- Two upper bounds of how many were sent later: as if all times were even and as close as the last, and by slices.
  local evenly, after = (g.opens_at - sent) * rate_at(g, math.max(g.opens_at, now)), 0
  for slice, count in pairs(slices) do
    if slice >= math.floor(sent * SLICES) then after = after + count end
  end
  return math.max(g.granted - math.max(math.min(math.floor(evenly + 0.5), after), 1), 0)
end

-- ``refusal`` is a 429: see gate.py.
local function refuse(g, now, slices, back, epoch, refusal)
  local answered = refusal.answered
  local lately, was_open = refusal.lately, now >= g.closed_until
  if learned(g, now) == INF then
    -- Good answers are not known of the others. They got as many for a permit as this process.
    local share = refusal.own > 0 and math.max(granted_lately(slices, now) / refusal.own, 1) or 1
    answered, lately = answered and math.floor(answered * share), lately * share
  elseif not was_open then
    -- One more of this cycle's permits was refused.
    answered = g.refused_rate < INF and g.answered > 1 and -1 or nil
  elseif answered and epoch ~= g.epoch then
    answered = nil -- sent before the gate closed: with each permit since then came the news of it
  elseif answered then
    answered = answered_before(g, slices, now - refusal.age, now)
  end
  local closes = was_open and answered
  if closes then
    -- The times still to come are void: they were handed out at a rate that was too high.
    g.opens_at = g.opens_at - outstanding(g, now) / rate_at(g, now)
    g.epoch = g.epoch + 1
    for i in ipairs(back) do back[i] = nil end
  end
  throttled(g, now, refusal.seconds, answered, lately, refusal.span)
  if closes then g.granted = 0 end
end

local function next_time(g, now, back, active)
  local stale = now - 0.5 / rate_at(g, now)
  while #back > 0 do
    local at = table.remove(back, 1)
    if at >= stale then return math.max(at, now) end
  end
  local at = math.max(now, g.opens_at)
  take(g, at)
  if at < g.rejoining_until and active < g.expected then
    -- Those that have not found the server again still take their part of the rate.
    local stretched = at + (g.opens_at - at) * g.expected / active
    g.opens_at = math.min(stretched, math.max(g.opens_at, g.rejoining_until))
  end
  return at
end

local function hand_out(g, now, members, slices, back, question)
  local rate, mine = rate_at(g, now), "active:" .. question.member
  if rate == INF then
    count_grants(g, slices, now, question.wanted)
    return {}, question.wanted
  end
  local active = 1
  for member, active_until in pairs(members) do
    if member ~= mine and active_until > now then active = active + 1 end
  end
  -- Each process holds its share of the times ahead, and at least one. So all take turns, whatever the rate.
  local share = math.max(math.floor(AHEAD * rate / active), 1)
  if not members[mine] then
    -- Others that start at the same time have not asked yet.
    share = math.max(math.floor(share / NEW), 1)
  end
  local times = {}
  for i = 1, math.min(question.wanted, share - question.held) do
    local at = next_time(g, now, back, active)
    count_grants(g, slices, at, 1)
    times[i] = microseconds(at)
    members[mine] = math.max(members[mine] or now, at + STAYS_ACTIVE)
  end
  return times, share
end

local time = redis.call("TIME")
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local question = cjson.decode(ARGV[1])
local g, members, slices, back, is_known = load_state(now)

local own_limit = question.limit or INF
if own_limit <= g.limit or now - g.limit_at > LIMIT_HOLDS then
  g.limit, g.limit_at = own_limit, now
end
if not is_known and question.rate then
  -- The state was lost with the server, but this process knows what was learned.
  g.level, g.proven, g.climb = question.rate, question.rate, CLIMB_LEAST
  g.closed_until = now + question.closed
  g.opens_at, g.opened_at, g.grows_since = g.closed_until, g.closed_until, g.closed_until
end
if question.used > 0 then
  count_grants(g, slices, now, question.used)
  -- They were used before the gate closed, of which the process did not know yet.
  if question.epoch ~= g.epoch then g.granted = g.granted - question.used end
end
if not is_known and question.processes > 1 then
  g.expected, g.rejoining_until = question.processes, now + REJOINED
end
take_back(g, slices, back, question.back)
for _, refusal in ipairs(question.refusals) do refuse(g, now, slices, back, question.epoch, refusal) end
local times, share = {}, 1
if question.wanted > 0 then times, share = hand_out(g, now, members, slices, back, question) end
save_state(g, now, members, slices, back)
return {
  microseconds(now), g.epoch, is_throttled(g, now) and 1 or 0, text_of(rate_at(g, now)), text_of(g.limit),
  microseconds(math.max(g.closed_until - now, 0)), microseconds(math.max(g.opens_at - now, 0)), share, times,
}
