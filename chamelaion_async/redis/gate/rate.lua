-- The rate of a lane, as AdaptiveRate in _http/rate.py learns it, in the same terms and for the same reasons. A test
-- plays the same traffic on both. Pure: a table of fields and the time come in as arguments.

local INF = math.huge

-- As in _http/rate.py.
local PAUSE, LONGEST_PAUSE, LATELY, FIRST = 1.0, 8.0, 1.0, 4.0
local DOUBLES_IN, BACK, SAME, DOUBT, REGAINS_IN = 2.0, 0.8, 0.5, 2.0, 3.0
local DIP, CLIMB_LEAST, CLIMB_MOST, CLIMB_REQUESTS, CLIMB_CLOSURES = 0.1, 12.0, 100.0, 80.0, 4.0
local IDLE, LEAST, FREE, MANY, OUTAGE, AFTER_OUTAGE = 0.1, 0.1, 1000.0, 60, 12, 1.0

-- The fields of a rate that was never refused. Lua has no booleans in a hash, so ``is_searching`` is 0 or 1.
local FIELDS = {
  limit = INF, opens_at = -INF, closed_until = -INF, level = INF, climb = 0, proven = 0, is_searching = 0,
  grows_since = 0, opened_at = 0, began_at = 0, first_refused_at = 0, refused_at = 0, repeats = 0, answered = 0,
  refused_rate = INF, tried = INF, proven_before = 0,
}

local function grown(g, now)
  local idle = math.max(now - g.opens_at, 0)
  return math.max(now - g.grows_since - idle * (1 - IDLE), 0)
end

local function learned(g, now)
  if g.level == INF then return INF end
  local growth = grown(g, now)
  local rate, doubled
  if g.is_searching == 1 then
    rate, doubled = g.level, growth / DOUBLES_IN
  else
    local steady = g.proven > 0 and growth or math.min(growth, DOUBT * g.climb)
    rate = g.level * (1 + DIP * (steady / g.climb - 1) ^ 3)
    doubled = (growth - steady) / REGAINS_IN
  end
  rate = rate * 2 ^ math.min(doubled, MANY)
  return rate <= FREE and rate or INF
end

local function rate_at(g, now)
  return math.min(learned(g, now), g.limit)
end

local function is_throttled(g, now)
  return now < g.closed_until or learned(g, now) < g.limit
end

local function take(g, now)
  if g.level == INF and g.limit == INF then return true end
  if now < g.opens_at then return false end
  local rate = learned(g, now)
  if rate == INF then
    g.level = INF
  else
    local idle = now - g.opens_at
    g.opened_at = g.opened_at + idle
    g.grows_since = g.grows_since + idle * (1 - IDLE)
  end
  g.opens_at = now + 1 / math.min(rate, g.limit)
  return true
end

local function begin(g, now, began_at, answered, refused_rate)
  local is_back = g.is_searching == 0 and grown(g, now) >= BACK * g.climb
  g.tried, g.proven_before = is_back and g.level or INF, g.proven
  g.began_at, g.first_refused_at = began_at, now
  g.repeats, g.answered, g.refused_rate = 0, answered, refused_rate
end

local function set_climb(g, closed_until)
  if g.level >= SAME * g.tried then
    g.proven = g.level
  else
    g.proven = g.level >= SAME * g.proven_before and g.proven_before or 0
  end
  if g.proven > 0 then
    local closures = g.repeats > 0 and CLIMB_CLOSURES * (closed_until - g.first_refused_at) or 0
    g.climb = math.min(math.max(CLIMB_LEAST, CLIMB_REQUESTS / g.level, closures), CLIMB_MOST)
  else
    g.climb = CLIMB_LEAST
  end
end

local function close(g, closed_until)
  g.closed_until = closed_until
  g.opens_at = math.max(g.opens_at, closed_until)
  g.opened_at, g.grows_since = g.opens_at, g.opens_at
  local cycle = closed_until - g.began_at
  if g.refused_rate < INF and cycle >= LATELY then g.is_searching = 0 end
  local most = g.refused_rate
  if g.is_searching == 0 and (most == INF or g.repeats > 1) then
    most = math.min(most, g.answered / math.max(g.refused_at - g.began_at, LATELY))
  end
  local level
  if most == INF then
    level = FIRST * 0.5 ^ math.min(g.repeats, MANY)
  elseif g.answered < most * cycle then
    level = math.sqrt(most * g.answered / cycle)
  else
    level = most
  end
  g.level = math.max(level, LEAST)
  if g.repeats >= OUTAGE then
    g.level, g.is_searching = math.max(level, AFTER_OUTAGE), 1
  end
  set_climb(g, closed_until)
end

-- ``seconds`` and ``answered`` may be nil, as they may be None there.
local function throttled(g, now, seconds, answered, lately, lately_span)
  if now < g.closed_until then
    g.answered = g.answered + (answered or 0)
    close(g, math.max(g.closed_until, now + (seconds or 0)))
    return
  end
  if not answered then
    local closed_until = math.max(g.opens_at, now + (seconds or 0))
    g.grows_since = g.grows_since + closed_until - g.opens_at
    g.opens_at = closed_until
    return
  end
  local rate = learned(g, now)
  if rate == INF then
    begin(g, now, now, answered, rate)
    g.is_searching = answered < FIRST and 1 or 0
    g.proven_before, g.tried = 0, INF
  elseif answered > 0 then
    begin(g, now, g.opened_at, answered, rate_at(g, now))
  else
    g.repeats = g.repeats + 1
    if g.refused_rate == INF and g.repeats == 1 then
      g.answered, g.began_at = math.max(g.answered, lately), g.began_at - lately_span
    end
  end
  g.refused_at = now
  local pause = math.min(PAUSE * 2 ^ math.min(g.repeats, MANY), LONGEST_PAUSE)
  if seconds then pause = g.repeats > 0 and math.max(seconds, pause) or seconds end
  close(g, now + pause)
end
