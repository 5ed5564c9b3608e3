const STEPS = [
  { upTo: 500, cents: 290 },
  { upTo: 2000, cents: 490 },
  { upTo: 10000, cents: 890 },
]

/** The price in cents of a parcel of so many grams. */
export function postage(grams, { insured = false } = {}) {
  if (!(grams > 0)) {
    throw new RangeError(`a parcel weighs more than nothing, and not ${grams} g`)
  }
  const step = STEPS.find(({ upTo }) => grams < upTo)
  if (step === undefined) {
    throw new RangeError(`${grams} g is too heavy`)
  }
  return insured ? step.cents + 150 : step.cents
}
