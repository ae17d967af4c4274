// A person's way through what a smoke passes over: learning, winners, creatives, decisions, changes, and the set-up pages; wide and on a phone.
import { base, check, go, open, signIn } from './world.mjs'

const button = (page, name) => page.getByRole('button', { name, exact: true })
const stamp = () => Math.random().toString(36).slice(2, 8)

const report = (ad) => ({
  name: 'report.csv', mimeType: 'text/csv',
  buffer: Buffer.from(`Ad ID,Campaign ID,Impressions,Clicks (all),Amount spent (USD)\n${ad},e2e,"1,000",20,$50.00\n${ad}-2,e2e,many,20,1\n`),
})

const ways = [
  ['a wrong password is said, and nothing typed is lost', async (page) => {
    await page.goto(`${base}/console/`)
    await page.getByLabel('E-mail address').fill('admin@northside.example')
    await page.getByLabel('Password', { exact: true }).fill('wrong')
    await button(page, 'Sign in').press('Enter')
    await page.getByRole('alert').filter({ hasText: /e-mail|password/i }).waitFor()
    check(await page.getByLabel('E-mail address').inputValue() === 'admin@northside.example', 'the address is lost')
  }, { out: true, forgive: /400/ }],
  ['a learning cycle is run and its seven steps are seen', async (page) => {
    await go(page, '/learning', 'Learning')
    await button(page, 'Run learning cycle').press('Enter')
    await page.locator('.steps > li').nth(6).waitFor()
    await page.getByRole('status').filter({ hasText: /completed/i }).first().waitFor()
    await page.getByRole('table', { name: 'Cycles' }).waitFor()
  }],
  ['from a winner straight to a plan, scene by scene, copied', async (page) => {
    await go(page, '/winners', 'Winners')
    await button(page, 'a question as the hook, fast cuts').click()
    await page.locator('.match').first().getByRole('button', { name: /^More like/ }).press('Enter')
    await page.getByText(/winners? of \d+ like/).waitFor()
    await page.locator('.match').first().getByRole('button', { name: 'Plan a video like it' }).click()
    await page.getByRole('heading', { name: 'Scene by scene' }).waitFor()
    check(await page.locator('.scene').count() > 1, 'the plan has no scenes')
    await button(page, 'Copy as text').click()
    check((await page.evaluate(() => navigator.clipboard.readText())).length > 200, 'nothing was copied')
  }],
  ['a decision is computed again to the same answer', async (page) => {
    await go(page, '/decisions', 'Decisions')
    await page.getByRole('table', { name: 'Decisions' }).getByRole('link').first().click()
    await button(page, 'Compute it again').click()
    await page.getByText('Computed again: the same answer.').waitFor()
  }],
  ['the curve of another total and the backtest stand beside the split', async (page) => {
    await go(page, '/budget', 'Budget')
    await button(page, 'Optimize budget').press('Enter')
    await page.getByRole('table', { name: 'Recommended budgets' }).waitFor()
    await button(page, 'Draw the curve').click()
    await page.getByRole('img', { name: /Expected pipeline by total budget/ }).waitFor()
    await button(page, 'Run the backtest').click()
    await page.getByRole('table', { name: 'Backtest' }).or(page.getByText(/None of these ads has brought/)).first().waitFor()
  }],
  ['changes are chosen together, their total is shown, and they are cancelled', async (page) => {
    await go(page, '/budget', 'Budget')
    await button(page, 'Optimize budget').click()
    await page.getByRole('table', { name: 'Recommended budgets' }).waitFor()
    await button(page, 'Apply all …').click()
    await page.getByRole('dialog').getByRole('button', { name: 'Apply', exact: true }).click()
    await page.getByText(/ads? of \d+ queued/).waitFor()
    await go(page, '/changes', 'Changes')
    const all = page.getByRole('checkbox', { name: 'Choose all' })
    await all.waitFor()
    await all.press('Space')
    await page.getByText(/^\d+ changes? chosen: /).waitFor()
    await button(page, 'Reject or cancel …').press('Enter')
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('button', { name: 'Reject', exact: true }).click()
    await page.getByText(/^\d+ changes? decided\.|Nothing is open/).first().waitFor()
  }, { forgive: /409/ }], // the executor may have carried one out in this very second
  ['the history of changes is read and narrowed', async (page) => {
    await go(page, '/changes/history', 'History of changes')
    await page.getByRole('combobox', { name: 'Outcome' }).selectOption({ index: 1 })
    await page.waitForURL(/outcome=/)
  }],
  ['a report is checked before it is imported, and its wrong row is named', async (page) => {
    await go(page, '/setup/import', 'Import')
    await page.getByLabel('Report, CSV').setInputFiles(report(`e2e-${stamp()}`))
    const account = page.getByRole('combobox', { name: 'Ad account' })
    if (await account.count() > 0) await account.selectOption({ index: 1 })
    await button(page, 'Check the file').press('Enter')
    await page.getByText('Nothing has been written yet.').waitFor()
    await page.getByRole('table', { name: 'Rejected rows' }).getByRole('cell', { name: '3', exact: true }).waitFor()
    await button(page, 'Import').press('Enter')
    await page.getByRole('link', { name: 'See the campaigns' }).waitFor()
  }],
  ['somebody is invited and taken out again', async (page) => {
    const who = `e2e-${stamp()}@example.com`
    await go(page, '/setup/members', 'Members')
    await page.getByLabel('E-mail address').fill(who)
    await button(page, 'Invite').press('Enter')
    const row = page.getByRole('row').filter({ hasText: who })
    await row.getByRole('button', { name: /Remove/ }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Remove', exact: true }).click()
    await row.waitFor({ state: 'detached' })
  }],
  ['a key is made, shown once, and revoked', async (page) => {
    const label = `e2e ${stamp()}`
    await go(page, '/setup/keys', 'Keys')
    await page.getByLabel('Called').fill(label)
    await button(page, 'Make it').press('Enter')
    await page.getByText(/gv[ps]_/).first().waitFor()
    const row = page.getByRole('row').filter({ hasText: label })
    await row.getByRole('button', { name: /Revoke/ }).click()
    await page.getByRole('dialog').getByRole('button', { name: /Revoke/ }).first().click().catch(() => undefined)
    await row.getByText(/revoked/i).or(page.getByText(`${label}`).filter({ hasText: /revoked/i })).first().waitFor()
  }],
  ['a schedule that comes too often is refused beside the field; a right one shows its next runs', async (page) => {
    await go(page, '/setup/schedules', 'Schedules')
    const sheet = page.locator('.sheet').filter({ has: page.getByLabel('Times, as cron') }).first()
    await sheet.getByLabel('Times, as cron').fill('* * * * *')
    await sheet.getByRole('button', { name: /^Save/ }).press('Enter')
    await page.getByRole('alert').first().waitFor()
    await sheet.getByLabel('Times, as cron').fill('30 6 * * *')
    await sheet.getByRole('button', { name: /^Save/ }).press('Enter')
    await sheet.getByText('your own times').waitFor()
    await sheet.getByText(/^Next: /).waitFor()
  }, { forgive: /422/ }],
  ['what is held of a contact is shown, or that there is none', async (page) => {
    await go(page, '/setup/privacy', 'Privacy')
    await page.getByLabel('The contact’s id in the CRM').fill('1')
    await button(page, 'Show it').press('Enter')
    await page.getByRole('button', { name: 'Save it as a file' }).or(page.getByRole('alert')).first().waitFor()
  }, { forgive: /404/ }],
  ['the webhook is set, tested, and what came of it is listed', async (page) => {
    await go(page, '/setup/webhook', 'Webhook')
    await page.getByLabel('Address').fill('https://hooks.invalid/e2e')
    await button(page, 'Save').press('Enter')
    await page.getByText('Saved.').waitFor()
    await button(page, 'Send a test notice').click()
    await page.getByText(/^(Not delivered|Delivered)/).waitFor()
  }, { forgive: /50\d|4\d\d/ }],
  ['a Slack channel is set, tested and switched off, and its address is not shown', async (page) => {
    await go(page, '/setup/slack', 'Slack')
    await page.getByLabel('Address of the incoming webhook').fill('https://hooks.invalid/services/e2e')
    await page.getByLabel('A summary of each day').check()
    await button(page, 'Save').press('Enter')
    await page.getByText('Saved.').waitFor()
    check(await page.getByLabel('Address of the incoming webhook').inputValue() === '', 'the address is shown')
    await button(page, 'Post a test message').press('Enter')
    await page.getByText(/^Slack (took it|did not take it)/).waitFor()
    await button(page, 'Switch it off').press('Enter')
    await page.getByRole('button', { name: 'Post a test message' }).waitFor({ state: 'detached' })
  }, { forgive: /50\d|4\d\d/ }],
  ['dead letters are counted before they are sent again', async (page) => {
    await go(page, '/setup/dead-letters', 'Dead letters')
    await button(page, 'Count them').press('Enter')
    await page.getByText(/messages? would be sent again\./).waitFor()
  }],
  ['HubSpot’s page names the webhook’s address and the subscriptions', async (page) => {
    await go(page, '/setup/hubspot', 'HubSpot')
    await page.getByText('/webhooks/hubspot').first().waitFor()
    await page.getByText('deal.propertyChange').first().waitFor()
  }],
  ['the form of an idea takes its DNA, and a plan is written', async (page) => {
    await go(page, '/creative', 'Creative')
    await button(page, 'Judge it').press('Enter')
    await page.getByText(/PROCEED|REJECT|Proceed|Reject/).first().waitFor()
    await button(page, 'Write the plan').click()
    await page.getByRole('heading', { name: 'What it is' }).waitFor()
  }],
  ['a slow network shows that it loads, and then what came', async (page) => {
    await page.route('**/api/campaigns', async (route) => { await new Promise((go) => { setTimeout(go, 1500) }); await route.continue() })
    await page.goto(`${base}/console/campaigns`)
    await page.locator('.loading').first().waitFor()
    await page.getByRole('table', { name: 'Campaigns' }).waitFor()
  }],
]

const sizes = [['wide', {}], ['phone', { width: 390, height: 800 }]]

export const flows = ways.flatMap(([name, run, { out = false, forgive } = {}]) => sizes.map(([size, look]) => [`${size}: ${name}`, async (browser) => {
  const window = await open(browser, look)
  if (!out) await signIn(window.page)
  await run(window.page)
  if (forgive) window.forgive(forgive)
  check(window.troubles.length === 0, window.troubles.join('\n'))
  await window.context.close()
}]))
