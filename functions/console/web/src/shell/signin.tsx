// The sign-in: password or a link by e-mail; on a local system the demo users by a click.
import { useEffect, useState, type FormEvent } from 'react'
import { endedBecause, signIn } from '../auth/session'
import { configured, sendLink, withCode, withPassword } from '../auth/supabase'
import { Field, Go, Notice } from '../parts/basic'
import { Mark } from './mark'

interface DemoUser { email: string; role: string; tenant: string }

function useWork() {
  const [busy, setBusy] = useState('')
  const [error, setError] = useState<unknown>(null)
  const run = async (name: string, work: () => Promise<void>) => {
    if (busy) return
    setBusy(name)
    setError(null)
    await work().catch(setError)
    setBusy('')
  }
  return { busy, error, run, clear: () => setError(null) }
}

export function SignInView({ refused }: { refused?: string }) {
  const [way, setWay] = useState<'password' | 'link'>('password')
  const why = endedBecause() ?? refused
  useEffect(() => { document.title = 'Sign in · geminivideo' }, [])
  return (
    <main className="signin">
      <div className="view">
        <div className="titled"><Mark /><h1>Sign in to geminivideo</h1></div>
        {why && <Notice mood="warn" alert>{why}</Notice>}
        <DemoUsers />
        <section className="sheet">
          {configured ? (
            <>
              <div className="tabs" role="group" aria-label="How to sign in">
                <button type="button" aria-pressed={way === 'password'} onClick={() => setWay('password')}>Password</button>
                <button type="button" aria-pressed={way === 'link'} onClick={() => setWay('link')}>Link by e-mail</button>
              </div>
              {way === 'password' ? <Password /> : <MailedLink />}
            </>
          ) : <Pasted />}
        </section>
      </div>
    </main>
  )
}

function Password() {
  const { busy, error, run } = useWork()
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    void run('in', async () => signIn(await withPassword(String(form.get('email')).trim(), String(form.get('password')))))
  }
  return (
    <form className="stack" onSubmit={submit}>
      <Field label="E-mail address"><input name="email" type="email" autoComplete="username" required /></Field>
      <Field label="Password"><input name="password" type="password" autoComplete="current-password" required /></Field>
      <Go label="Sign in" submit primary busy={busy !== ''} error={error} />
    </form>
  )
}

function MailedLink() {
  const { busy, error, run, clear } = useWork()
  const [sentTo, setSentTo] = useState('')
  const [code, setCode] = useState('')
  const send = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const email = String(new FormData(event.currentTarget).get('email')).trim()
    void run('send', async () => { await sendLink(email); setSentTo(email) })
  }
  const enter = (event: FormEvent) => {
    event.preventDefault()
    void run('code', async () => signIn(await withCode(sentTo, code)))
  }
  if (!sentTo) {
    return (
      <form className="stack" onSubmit={send}>
        <Field label="E-mail address"><input name="email" type="email" autoComplete="username" required /></Field>
        <Go label="Send me a link" submit primary busy={busy !== ''} error={error} />
      </form>
    )
  }
  return (
    <form className="stack" onSubmit={enter}>
      <Notice mood="good">A link went to {sentTo}. Open it in this browser, or type the code of the e-mail here.</Notice>
      <Field label="Code"><input value={code} onChange={(event) => setCode(event.target.value)} inputMode="numeric" autoComplete="one-time-code" required pattern="\s*[0-9]{6,10}\s*" title="the digits of the e-mail" /></Field>
      <Go label="Sign in with the code" submit primary busy={busy !== ''} error={error}>
        <button type="button" className="plain" onClick={() => { clear(); setSentTo('') }}>Another address</button>
      </Go>
    </form>
  )
}

/** Pasted is for deployments that have set no sign-in up. */
function Pasted() {
  const { busy, error, run } = useWork()
  const [token, setToken] = useState('')
  const submit = (event: FormEvent) => {
    event.preventDefault()
    void run('in', async () => signIn({ access_token: token.trim().replace(/^bearer\s+/i, '') }))
  }
  return (
    <form className="stack" onSubmit={submit}>
      <p className="small soft">This deployment names no sign-in (SUPABASE_ANON_KEY is not set). An access token of its Supabase project works until it expires.</p>
      <Field label="Supabase access token"><textarea value={token} onChange={(event) => setToken(event.target.value)} required spellCheck={false} autoComplete="off" /></Field>
      <Go label="Sign in" submit primary busy={busy !== ''} error={error} />
    </form>
  )
}

/** DemoUsers are offered by the local system; elsewhere there are none. */
function DemoUsers() {
  const [offer, setOffer] = useState<{ users: DemoUser[]; password: string }>()
  const { busy, error, run } = useWork()
  useEffect(() => {
    if (!['localhost', '127.0.0.1', '[::1]'].includes(location.hostname)) return
    fetch('/_local/users', { headers: { Accept: 'application/json' } })
      .then(async (answer) => { if (answer.ok) setOffer(await answer.json()) })
      .catch(() => undefined)
  }, [])
  if (!offer) return null
  return (
    <section className="sheet" aria-label="Demo users">
      <h2>Demo users of this local system</h2>
      <div className="people">
        {offer.users.map((user) => (
          <button key={user.email + user.tenant} type="button" aria-disabled={busy !== '' || undefined}
            onClick={() => void run(user.email, async () => signIn(await withPassword(user.email, offer.password)))}>
            {user.tenant}: {user.role} <span className="soft small">{user.email}</span>
          </button>
        ))}
      </div>
      {Boolean(error) && <Notice mood="bad" alert>{error instanceof Error ? error.message : 'The sign-in failed.'}</Notice>}
    </section>
  )
}
