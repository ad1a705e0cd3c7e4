// Which page a search shows first. Many pages have a word equally often for Sphinx, which then goes by the alphabet.
var Scorer = {
  // The guides answer most questions. The changelog and pages of links name everything, and explain nothing.
  score: ([page, , , , score]) => {
    if (/^changelog$|(^|\/)index$/.test(page)) return score - 10;
    return page.startsWith("howto/") ? score + 1 : score;
  },
  objNameMatch: 11,
  objPartialMatch: 1, // "sync" is part of every name here
  objPrio: { 0: 15, 1: 0, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
