'use strict'

// A Jest reporter of automend's that reports nothing. Where Jest runs tests in its own process (with one worker, or for
// one file), they find its options in `process.argv`: without those that we added, as in a worker.

module.exports = class {
  constructor() {
    process.argv = process.argv.slice(0, 2)
  }
}
