// What needs more than a click: somebody in two companies, a film that is uploaded, earlier deals that are read, and a change that is carried out.
import { base, check, go, open, settled, signIn } from './world.mjs'

const patience = 3 * Number(process.env.PATIENCE ?? 60_000)
const button = (page, name) => page.getByRole('button', { name, exact: true })
const stamp = () => Math.random().toString(36).slice(2, 8)

// backstage asks what only this machine may ask: the schedulers' runs, and the fake HubSpot and Meta.
async function backstage(page, method, path, data) {
  const answer = await page.request.fetch(`${base}/_local${path}`, { method, data, timeout: patience })
  check(answer.ok(), `${method} ${path} answered ${answer.status()}: ${await answer.text()}`)
  return answer.json().catch(() => null)
}

// until acts again and again until it is so.
async function until(what, so, act) {
  for (const end = Date.now() + patience; !await so();) {
    check(Date.now() < end, `never: ${what}`)
    await act()
  }
}

// ask is a call of the API as whoever is signed in.
const ask = (page, method, path, body) => page.evaluate(async ([method, path, body]) => {
  const { access } = JSON.parse(localStorage.getItem('geminivideo.session'))
  const answer = await fetch(path, { method, body: body && JSON.stringify(body), headers: { Authorization: `Bearer ${access}`, 'Content-Type': 'application/json', 'Idempotency-Key': crypto.randomUUID() } })
  return answer.json()
}, [method, path, body])

async function inviteTo(browser, tenant, email) {
  const { page, context } = await open(browser)
  await signIn(page, 'admin', tenant)
  await go(page, '/setup/members', 'Members')
  await page.getByLabel('E-mail address').fill(email)
  await page.getByRole('combobox', { name: 'Role', exact: true }).selectOption('editor')
  await button(page, 'Invite').press('Enter')
  await page.getByText(`${email} may sign in here and accept.`).waitFor()
  return async () => {
    await ask(page, 'POST', '/api/tenants/members/remove', { email })
    await context.close()
  }
}

// film records two seconds of a moving picture: a real WebM, as a browser makes it.
async function film(page) {
  const text = await page.evaluate(async () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 540, height: 960 })
    const pen = canvas.getContext('2d')
    let n = 0
    const draw = () => {
      pen.fillStyle = `hsl(${n * 9} 70% 50%)`
      pen.fillRect(0, 0, 540, 960)
      pen.fillStyle = '#fff'
      pen.fillRect(n * 15, n * 30, 120, 120)
      n++
    }
    draw()
    const recorder = new MediaRecorder(canvas.captureStream(15), { mimeType: 'video/webm;codecs=vp8' })
    const parts = []
    recorder.ondataavailable = ({ data }) => parts.push(data)
    const ended = new Promise((resolve) => { recorder.onstop = resolve })
    recorder.start()
    await new Promise((resolve) => { const clock = setInterval(() => { draw(); if (n > 30) { clearInterval(clock); resolve() } }, 66) })
    recorder.stop()
    await ended
    const bytes = new Uint8Array(await new Blob(parts).arrayBuffer())
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
  })
  const empty = 4 << 20 // an element of that many empty bytes at its end, so that sending it takes a while
  return Buffer.concat([Buffer.from(text, 'base64'), Buffer.from([0xec, 0x10, (empty >> 16) & 255, (empty >> 8) & 255, empty & 255]), Buffer.alloc(empty)])
}

// marked says whether an upright line in the colour of markers stands in a chart's picture.
const marked = (chart) => chart.evaluate((box) => {
  const canvas = box.querySelector('canvas')
  if (!canvas) return false
  const key = box.parentElement.querySelector('.keys .ink-warn') // of the marker, and of won value, whose line is not upright
  const [red, green, blue] = getComputedStyle(key).fill.match(/\d+/g).map(Number)
  const { data, width, height } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
  for (let x = 0; x < width; x++) {
    let found = 0
    for (let y = 0; y < height; y++) {
      const at = (y * width + x) * 4
      if (data[at + 3] > 60 && Math.abs(data[at] - red) + Math.abs(data[at + 1] - green) + Math.abs(data[at + 2] - blue) < 60) found++
    }
    if (found > height / 4) return true
  }
  return false
})

const ways = [
  ['somebody in two companies chooses one after the sign-in, and the other later', async (page, browser) => {
    const email = `both-${stamp()}@example.com`
    const leave = [await inviteTo(browser, 'Northside Fitness', email), await inviteTo(browser, 'Harbour Dental', email)]
    try {
      const { password } = await (await page.request.get(`${base}/_local/users`)).json()
      await page.goto(`${base}/console/`)
      await page.getByLabel('E-mail address').fill(email)
      await page.getByLabel('Password', { exact: true }).fill(password)
      await button(page, 'Sign in').press('Enter')
      await page.getByRole('heading', { level: 1, name: 'Choose a company' }).waitFor()
      await page.getByText('invites you as editor').nth(1).waitFor()
      await button(page, 'Accept the invitation of Harbour Dental').press('Enter')
      await page.getByRole('heading', { level: 1, name: /Good/ }).waitFor()
      await go(page, '/campaigns', 'Campaigns')
      await page.getByText(/ EUR$/).first().waitFor()
      await account(page, email)
      await button(page, 'Companies and invitations').press('Enter')
      await button(page, 'Accept the invitation of Northside Fitness').press('Enter')
      await button(page, 'Go to Northside Fitness').press('Enter')
      await page.getByText(/ USD$/).first().waitFor()
      check(await page.getByText(/ EUR$/).count() === 0, 'figures of the other company are still shown')
      await account(page, email)
      await button(page, 'Companies and invitations').click()
      await page.getByRole('listitem').filter({ hasText: 'Northside Fitness' }).getByText('you are here').waitFor()
    } finally {
      for (const one of leave) await one()
    }
  }, { out: true }],
  ['a film is uploaded with its progress shown, and its DNA stands in a form', async (page) => {
    await go(page, '/creative', 'Creative')
    const buffer = await film(page)
    const network = await page.context().newCDPSession(page)
    await network.send('Network.enable')
    await network.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: Math.ceil(buffer.length / 6) })
    await page.getByLabel('Video, MP4, MOV or WebM').setInputFiles({ name: `film-${stamp()}.webm`, mimeType: 'video/webm', buffer })
    // Looked for in the page itself from before the click on, for it is soon over.
    const part = page.waitForFunction(() => document.querySelector('progress[aria-label=Upload]') && /[1-9]\d?% sent/.exec(document.body.textContent)?.[0])
    await button(page, 'Upload').press('Enter')
    await part
    await page.getByRole('heading', { level: 1, name: /^film-/ }).waitFor()
    await network.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 })
    await page.getByText('540 × 960').waitFor()
    await page.getByRole('group', { name: 'Creative DNA' }).waitFor({ timeout: patience })
    await page.getByText('Analyzed', { exact: true }).waitFor()
    // Without a Gemini the file itself says what it can: its form, not its hook.
    await page.getByText('More, as JSON').click()
    check(/"orientation": "vertical"/.test(await page.getByLabel('Other properties').inputValue()), 'the analysis does not say that it stands upright')
    await page.getByRole('combobox', { name: 'Hook type' }).selectOption('story')
    await button(page, 'Judge it').press('Enter')
    await page.getByText(/PROCEED|REJECT|Proceed|Reject/).first().waitFor()
    await button(page, 'Write the plan').click()
    await page.getByRole('heading', { name: 'What it is' }).waitFor()
  }],
  ['earlier deals are read back, and how far that is can be seen', async (page) => {
    await go(page, '/setup/hubspot', 'HubSpot')
    const portal = page.locator('.sheet').filter({ has: page.getByRole('heading', { name: /^Portal / }) }).first()
    await portal.getByLabel('Days back').fill('90')
    await button(portal, 'Read earlier deals').press('Enter')
    const progress = portal.getByRole('status').filter({ hasText: 'Earlier deals' })
    await progress.filter({ hasText: 'the last 90 days: Waiting' }).waitFor()
    await button(portal, 'Cancel the reading of earlier deals').waitFor()
    await backstage(page, 'POST', '/hubspot/control/faults', { path: '/crm/v3/objects/deals', times: 4, delay: 2e9 })
    const run = backstage(page, 'POST', '/run/reconcile')
    await progress.filter({ hasText: 'Running' }).waitFor({ timeout: patience })
    await portal.getByRole('progressbar', { name: 'Earlier deals read' }).waitFor()
    await run
    await until('the reading is over', () => progress.filter({ hasText: /Completed, \d+ deals? read of \d+/ }).count(), async () => {
      await backstage(page, 'POST', '/run/reconcile')
      await page.reload()
      await settled(page)
    })
    await button(portal, 'Read earlier deals').waitFor()
  }],
  ['a live account’s change is carried out, marked in the chart, and undone', async (page) => {
    await go(page, '/setup/accounts', 'Ad accounts')
    await page.getByRole('combobox', { name: 'Mode' }).first().selectOption('live')
    await page.getByRole('button', { name: /Save the mode of/ }).first().press('Enter')
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('textbox').fill('Northside Fitness')
    await dialog.getByRole('button', { name: 'Go live', exact: true }).press('Enter')
    await page.getByText('Live: by itself, within the limits').first().waitFor()
    const { accounts } = await ask(page, 'GET', '/api/accounts')
    try {
      const { campaigns } = await ask(page, 'GET', '/api/campaigns')
      const one = campaigns[Math.floor(Math.random() * campaigns.length)]
      const { ads } = await ask(page, 'GET', `/api/campaigns/${one.id}/ads?limit=100`)
      const free = ads.filter((ad) => ad.status === 'ACTIVE' && ad.daily_budget > 20)
      const ad = free[Math.floor(Math.random() * free.length)]
      const inMeta = async () => (await backstage(page, 'GET', `/meta/control/accounts/${accounts[0].account_id}`)).adsets.find((set) => set.name === ad.name).daily_budget / 100
      const raised = Math.round(ad.daily_budget * 1.1)
      await go(page, `/ads/${ad.id}`, ad.name)
      check(!await marked(page.getByRole('img', { name: /^Spend, pipeline/ })), 'a marker stands there before anything was changed')
      await page.getByLabel('Budget a day, USD').fill(String(raised))
      await button(page, 'Queue this budget').press('Enter')
      await page.getByText(/^Queued as pending/).waitFor()
      await go(page, '/changes?show=applied', 'Changes')
      const undo = page.getByRole('button', { name: `Undo the change of ${ad.name}` })
      await until('the change is applied', () => undo.count(), async () => {
        await backstage(page, 'POST', '/run/execute')
        await page.reload()
        await settled(page)
      })
      check(await inMeta() === raised, `Meta has ${await inMeta()}, not ${raised}`)
      await go(page, `/ads/${ad.id}`, ad.name)
      const chart = page.getByRole('img', { name: /^Spend, pipeline/ })
      await chart.locator('canvas').waitFor()
      check(await marked(chart), 'the chart has no marker where the budget changed')
      const figure = page.getByRole('figure').filter({ has: chart })
      await figure.getByText('budget changed').waitFor()
      await figure.getByText('The figures as a table').click()
      await figure.getByRole('listitem').filter({ hasText: /USD → .* USD \(\+10\.\d%\): set on the ad’s page/ }).waitFor()
      if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/marker-${page.viewportSize().width}.png` })
      await go(page, '/changes?show=applied', 'Changes')
      await undo.first().press('Enter')
      await page.getByRole('dialog').getByRole('button', { name: 'Undo', exact: true }).press('Enter')
      await page.getByRole('dialog').waitFor({ state: 'detached' }).catch(() => undefined)
      await go(page, `/changes/history?ad=${ad.id}&outcome=applied`, 'History of changes')
      const line = page.getByRole('row').filter({ hasText: /undo of the change to/ })
      await until('the change is undone', () => line.count(), async () => {
        await backstage(page, 'POST', '/run/execute')
        await page.reload()
        await settled(page)
      })
      check(await inMeta() === ad.daily_budget, `Meta has ${await inMeta()} after the undo, not ${ad.daily_budget}`)
      await go(page, '/changes?show=', 'Changes')
      await page.getByRole('row').filter({ hasText: ad.name }).getByText('Undone', { exact: true }).first().waitFor()
    } finally {
      await ask(page, 'PUT', `/api/accounts/${accounts[0].account_id}`, { mode: 'dry_run' })
    }
  }],
]

// account opens the menu of whoever is signed in; on a phone it is behind the menu.
async function account(page, email) {
  const menu = page.getByRole('button', { name: 'Menu' })
  if (await menu.isVisible()) await menu.click()
  await page.getByText(email).first().click()
}

const sizes = [['wide', {}], ['phone', { width: 390, height: 800 }]]

export const live = ways.flatMap(([name, run, { out = false } = {}]) => sizes.map(([size, look]) => [`${size}: ${name}`, async (browser) => {
  const window = await open(browser, look)
  if (!out) await signIn(window.page)
  await run(window.page, browser)
  check(window.troubles.length === 0, window.troubles.join('\n'))
  await window.context.close()
}]))
