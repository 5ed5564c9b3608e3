import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { postage } from '../lib/postage.js'

describe('postage', () => {
  it('goes by weight', () => {
    assert.equal(postage(20), 290)
    assert.equal(postage(1200), 490)
    assert.equal(postage(9999), 890)
  })

  it('costs more when insured', () => {
    assert.equal(postage(20, { insured: true }), 440)
  })

  it('takes nothing that weighs nothing', () => {
    assert.throws(() => postage(0), RangeError)
  })

  it('takes nothing that is too heavy', () => {
    assert.throws(() => postage(10001), RangeError)
  })
})
