// Who comes in and how, and what each kind of refusal looks like: beside what caused it, with nothing typed lost.
import { base, check, go, open, signIn } from './world.mjs'

const problem = (status, detail, headers = {}) => ({ status, headers: { 'Content-Type': 'application/problem+json', ...headers }, body: JSON.stringify({ status, detail }) })

// mailTo is the last e-mail that the sign-in sent to an address.
async function mailTo(page, address) {
  const { mails } = await (await page.request.get(`${base}/_local/mails`)).json()
  return mails.filter((one) => one.to === address).at(-1)
}

async function askForLink(page, address) {
  await page.goto(`${base}/console/`)
  await page.getByRole('button', { name: 'Link by e-mail' }).press('Enter')
  await page.getByLabel('E-mail address').fill(address)
  await page.getByRole('button', { name: 'Send me a link' }).press('Enter')
  await page.getByText(`A link went to ${address}`).waitFor()
}

const greeting = (page) => page.getByRole('heading', { level: 1, name: /Good (morning|afternoon|evening)/ }).waitFor()

async function editLead(page, value) {
  await go(page, '/pipeline', 'Pipeline')
  await page.getByRole('button', { name: 'Edit Lead' }).click()
  await page.getByRole('textbox', { name: /Value/ }).fill(value)
}
const save = (page) => page.getByRole('button', { name: 'Save', exact: true }).click()

export const access = [
  ['a mailed link signs in, once, and a second mail has to wait', async (browser) => {
    const { page, context } = await open(browser)
    await askForLink(page, 'editor@harbour.example')
    const { link } = await mailTo(page, 'editor@harbour.example')
    await page.getByRole('button', { name: 'Another address' }).click()
    await page.getByLabel('E-mail address').fill('editor@harbour.example')
    await page.getByRole('button', { name: 'Send me a link' }).click()
    await page.getByRole('alert').getByText(/Too many tries\. Wait \d+ seconds/).waitFor()
    await page.goto(link)
    await greeting(page)
    check(!page.url().includes('code='), 'the code stays in the address')
    await page.goto(link)
    await page.getByText('This link has expired or was used. Ask for a new one.').or(page.getByRole('heading', { level: 1, name: /Good/ })).first().waitFor()
    await context.close()
  }],
  ['the code of the e-mail signs in, and signing out everywhere ends another device', async (browser) => {
    const { page, context } = await open(browser)
    await askForLink(page, 'viewer@harbour.example')
    const { code } = await mailTo(page, 'viewer@harbour.example')
    await page.getByLabel('Code').fill(code)
    await page.getByRole('button', { name: 'Sign in with the code' }).press('Enter')
    await greeting(page)
    const other = await open(browser)
    await signIn(other.page, 'viewer', 'Harbour Dental')
    await page.getByText('viewer@harbour.example').first().click()
    await page.getByRole('button', { name: 'Sign out everywhere' }).press('Enter')
    await page.getByRole('heading', { name: /Sign in/ }).waitFor()
    await other.page.evaluate(() => {
      const held = JSON.parse(localStorage.getItem('geminivideo.session'))
      localStorage.setItem('geminivideo.session', JSON.stringify({ ...held, expires: Date.now() })) // its token's hour is over
    })
    await other.page.goto(`${base}/console/campaigns`)
    await other.page.getByText(/Your session has ended/).waitFor()
    await context.close()
    await other.context.close()
  }],
  ['a session that ends asks for a new sign-in, and what was typed is still there', async (browser) => {
    const { page, context } = await open(browser)
    await signIn(page, 'editor')
    await editLead(page, '13')
    await page.route('**/stages/lead', (route) => route.fulfill(problem(401, 'the token has expired')))
    await page.route('**/auth/v1/token*', (route) => route.fulfill({ status: 400, json: { error_code: 'refresh_token_not_found', msg: 'Invalid Refresh Token' } }))
    await save(page)
    await page.getByText(/Your session has ended/).waitFor()
    await page.unroute('**/stages/lead')
    await page.unroute('**/auth/v1/token*')
    await page.getByRole('button', { name: /Northside Fitness: editor/ }).click()
    await page.getByRole('textbox', { name: /Value/ }).waitFor()
    check(await page.getByRole('textbox', { name: /Value/ }).inputValue() === '13', 'what was typed is lost')
    await save(page)
    await page.getByText(/^Saved\./).waitFor()
    await context.close()
  }],
  ['each kind of refusal is said in words beside its button, and the next try works', async (browser) => {
    const { page, context } = await open(browser)
    await signIn(page)
    await editLead(page, '14')
    const answers = [
      [problem(429, 'too many requests', { 'Retry-After': '2' }), /Too many requests\. It can be tried again in 2 seconds\./],
      [problem(403, 'this needs the role editor; yours is viewer'), /This is not allowed: this needs the role editor/],
      [{ ...problem(422, 'validation failed'), body: JSON.stringify({ status: 422, detail: 'validation failed', errors: [{ location: 'body.value', message: 'must be at most 1000000000' }] }) }, /body\.value/],
      [problem(503, 'the database does not answer', { 'Retry-After': '1' }), /the database does not answer\. It should work again in 1 second\./],
    ]
    let next
    await page.route('**/stages/lead', (route) => route.fulfill(next))
    for (const [answer, words] of answers) {
      next = answer
      await save(page)
      await page.locator('.stage').getByRole('alert').filter({ hasText: words }).waitFor()
      check(await page.getByRole('textbox', { name: /Value/ }).inputValue() === '14', 'what was typed is lost')
      if (answer.status === 429) await page.getByText('It can be tried again now.').waitFor()
    }
    await page.unroute('**/stages/lead')
    await save(page)
    await page.getByText(/^Saved\./).waitFor()
    await context.close()
  }],
  ['being offline is said, and it goes on by itself when the network is back', async (browser) => {
    const { page, context } = await open(browser)
    await signIn(page)
    await go(page, '/campaigns', 'Campaigns')
    await context.setOffline(true)
    await page.getByText('You are offline', { exact: true }).waitFor()
    await page.getByRole('link', { name: 'Decisions' }).first().click()
    await page.getByRole('alert').getByText(/^You are offline/).first().waitFor()
    await context.setOffline(false)
    await page.getByRole('table', { name: 'Decisions' }).or(page.getByText('No decisions yet')).first().waitFor()
    await context.close()
  }],
  ['the home page names ads and says the expected gain', async (browser) => {
    const { page, context } = await open(browser)
    await signIn(page)
    await go(page, '/budget', 'Budget')
    await page.getByRole('button', { name: 'Optimize budget' }).click()
    await page.getByRole('table', { name: 'Recommended budgets' }).waitFor()
    await go(page, '/', /Good/)
    await page.getByText('Expected gain in pipeline a day, last split').waitFor()
    check(/^[+−]?[\d,]+\.\d\d USD$/.test((await page.locator('.tiles a[href*="/decisions/"]').first().textContent()) ?? ''), 'the expected gain is no amount')
    for (const text of await page.locator('.list a[href*="/ads/"]').allTextContents()) check(!/^\d+$/.test(text), `an ad is shown by its id: ${text}`)
    await context.close()
  }],
  ['the home page shows what is missing, what is wrong with the data, and an account’s alarm', async (browser) => {
    const { page, context } = await open(browser)
    await page.route('**/api/data-health', async (route) => {
      const answer = await (await route.fetch()).json()
      for (const one of answer.accounts) for (const check of one.checks) if (check.check === 'clicks') Object.assign(check, { state: 'never', detail: 'No click was ever received.', action: 'Put the beacon on the landing page.' })
      return route.fulfill({ json: answer })
    })
    await page.route('**/api/accounts', async (route) => {
      const answer = await (await route.fetch()).json()
      answer.accounts[0].account_alerts = [{ kind: 'ctr_down', since: '2026-11-20', ads: 7, fell_by: 0.4, detail: 'The click rate of 7 ads fell together.', action: 'Look at the landing page.', resolved_at: null }]
      return route.fulfill({ json: answer })
    })
    await signIn(page)
    await page.getByRole('heading', { name: 'Set-up: 5 of 6 done' }).waitFor()
    await page.getByText('Receive the first click', { exact: true }).waitFor()
    await page.getByText('No click was ever received.').waitFor()
    await page.getByRole('alert').getByText('The click rate of 7 ads fell together.').waitFor()
    await context.close()
  }],
]
