'use strict'

// A Mocha reporter of automend's: JUnit XML that names each test's file, whatever the version of Mocha.

const { writeFileSync } = require('node:fs')

const clean = (text) =>
  String(text)
    // What XML cannot hold at all, lone surrogates included.
    .replace(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '\uFFFD')
    .replace(/[&<>"\n\r\t]/g, (sign) => `&#${sign.charCodeAt(0)};`)

const element = (name, attributes, inner) => {
  const words = Object.entries(attributes).map(([key, value]) => ` ${key}="${clean(value)}"`)
  return inner === undefined ? `<${name}${words.join('')}/>` : `<${name}${words.join('')}>${inner}</${name}>`
}

const titles = (test) => {
  const found = []
  for (let suite = test.parent; suite; suite = suite.parent) if (suite.title) found.unshift(suite.title)
  return found.join(' > ')
}

module.exports = class {
  constructor(runner, options) {
    const cases = []
    const tell = (test, inner) =>
      cases.push(element('testcase', { classname: titles(test), name: test.title, file: test.file ?? '' }, inner))
    let failures = 0
    const toTheEnd = (suite) => {
      suite.bail(false)
      suite.suites.forEach(toTheEnd)
    }
    if (runner.suite) toTheEnd(runner.suite)

    runner.on('pass', (test) => {
      tell(test)
      process.stdout.write('.')
    })
    runner.on('pending', (test) => tell(test, '<skipped/>'))
    runner.on('fail', (test, error) => {
      failures += 1
      const message = error && error.message ? `${error.name ?? 'Error'}: ${error.message}` : error
      tell(test, element('failure', { message }))
      process.stdout.write(`\n✘ ${titles(test)} > ${test.title}\n${(error && error.stack) || error}\n`)
    })
    runner.on('end', () => {
      const suite = element('testsuite', { name: 'mocha', tests: cases.length, failures }, cases.join('\n'))
      writeFileSync(options.reporterOptions.output, `<?xml version="1.0" encoding="UTF-8"?>\n${suite}\n`)
      process.stdout.write(`\n${cases.length} tests, ${failures} failures\n`)
    })
  }
}
