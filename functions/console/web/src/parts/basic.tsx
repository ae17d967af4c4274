// What every view is made of.
import { Problem } from '@geminivideo/ml-api'
import { useEffect, useRef, useState, type ReactNode } from 'react'
import { Link } from 'wouter'
import { plural, words } from './format'

/** View is a view's frame: its place in the window's title, its heading, and what it says of itself. */
export function View({ title, name, lead, crumbs, beside, children }: {
  title: string; name?: ReactNode; lead?: ReactNode; crumbs?: [string, string][]; beside?: ReactNode; children: ReactNode
}) {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => { document.title = `${title} · geminivideo` }, [title])
  useEffect(() => { heading.current?.focus({ preventScroll: true }) }, [])
  return (
    <div className="view">
      <header className="head">
        {crumbs && <p className="crumb">{crumbs.map(([label, to]) => <span key={to}><Link href={to}>{label}</Link> / </span>)}</p>}
        <div className="titled"><h1 tabIndex={-1} ref={heading}>{name ?? title}</h1>{beside}</div>
        {lead && <p className="lead">{lead}</p>}
      </header>
      {children}
    </div>
  )
}

export function Sheet({ title, flush, beside, children, id }: { title?: ReactNode; flush?: boolean; beside?: ReactNode; children?: ReactNode; id?: string }) {
  return (
    <section className={flush ? 'sheet flush' : 'sheet'} id={id}>
      {title && <div className={flush ? 'inner titled' : 'titled'}><h2>{title}</h2>{beside}</div>}
      {children}
    </section>
  )
}

export const Tiles = ({ of }: { of: [ReactNode, ReactNode][] }) => (
  <dl className="tiles">{of.map(([name, figure], i) => <div key={i}><dt>{name}</dt><dd>{figure}</dd></div>)}</dl>
)

export const Facts = ({ of }: { of: ([ReactNode, ReactNode] | null | false | undefined | '')[] }) => (
  <dl className="facts">{of.filter((pair) => !!pair).map(([name, fact], i) => <div key={i}><dt>{name}</dt><dd>{fact}</dd></div>)}</dl>
)

export type Mood = '' | 'good' | 'warn' | 'bad'
const moods: Record<string, Mood> = {
  ACTIVE: 'good', HEALTHY: 'good', scale: 'good', FATIGUING: 'warn', SATURATED: 'warn', AUDIENCE_EXHAUSTED: 'bad', kill: 'bad', DELETED: 'bad',
  applied: 'good', awaiting_approval: 'warn', held: 'warn', unknown: 'warn', failed: 'bad', ok: 'good', bad: 'bad', warn: 'warn',
  completed: 'good', running: 'warn', active: 'warn', analyzed: 'good', planned: 'good', PROCEED: 'good', REJECT: 'bad', battle_plan: 'good', fix_plan: 'warn',
}

export const Badge = ({ of, mood, children }: { of?: string; mood?: Mood; children?: ReactNode }) => (
  <span className={`badge ${mood ?? moods[of ?? ''] ?? ''}`}>{children ?? words(of ?? '')}</span>
)

export function Notice({ mood = '', children, alert }: { mood?: Mood; children: ReactNode; alert?: boolean }) {
  return <div className={`notice ${mood}`} role={alert ? 'alert' : undefined}>{children}</div>
}

export function Empty({ title, hint, to }: { title: string; hint: ReactNode; to?: [string, string] | false }) {
  return <div className="empty"><h2>{title}</h2><p>{hint}</p>{to && <Link className="button" href={to[1]}>{to[0]}</Link>}</div>
}

/** said is an error in words: what is wrong, and what to do about it. */
export function said(error: unknown): string {
  if (!(error instanceof Error)) return 'Something went wrong.'
  if (!(error instanceof Problem)) return error.message
  switch (error.status) {
    case 0: return navigator.onLine ? error.message : 'You are offline. It is tried again by itself when you are back.'
    case 403: return `This is not allowed: ${error.message}`
    case 429: return `Too many requests. ${error.retryAfter ? `It can be tried again in ${plural(error.retryAfter, 'second')}.` : 'Wait a little and try again.'}`
    case 503: return `${error.message.replace(/\.?$/, '.')} ${error.retryAfter ? `It should work again in ${plural(error.retryAfter, 'second')}.` : 'Try again in a moment.'}`
    default: return error.message
  }
}

/** useWait is the seconds left of the wait that an error asks for; undefined where it asks for none. */
function useWait(error: unknown): number | undefined {
  const wait = error instanceof Problem ? error.retryAfter : undefined
  const [left, setLeft] = useState(wait)
  useEffect(() => {
    setLeft(wait)
    if (wait === undefined) return
    const until = Date.now() + wait * 1000
    const clock = setInterval(() => {
      const seconds = Math.max(0, Math.ceil((until - Date.now()) / 1000))
      setLeft(seconds)
      if (seconds === 0) clearInterval(clock)
    }, 1000)
    return () => clearInterval(clock)
  }, [error, wait])
  return left
}

/** Trouble says an error where it happened, with the fields that it names. */
export function Trouble({ error, again }: { error: unknown; again?: () => void }) {
  const left = useWait(error)
  if (!error) return null
  const fields = error instanceof Problem ? error.errors : []
  return (
    <div className="notice bad" role="alert">
      {said(error)}
      {left !== undefined && <span className="line small" aria-hidden="true">{left > 0 ? `Wait: ${plural(left, 'second')} left.` : 'It can be tried again now.'}</span>}
      {fields.length > 0 && <ul>{fields.map((one, i) => <li key={i}><code>{one.location}</code> {one.message}</li>)}</ul>}
      {again && <div><button type="button" onClick={again}>Try again</button></div>}
    </div>
  )
}

interface Loadable<T> { data?: T; error: unknown; isPending: boolean; refetch: () => unknown }

/** Load shows that something is coming, then it, or why it is not; what was read before stays while it is asked for again. */
export function Load<T>({ of, what, children }: { of: Loadable<T>; what: string; children: (data: T) => ReactNode }) {
  if (of.data !== undefined) {
    return <>{Boolean(of.error) && <Notice mood="warn">These figures may be old: {said(of.error)}</Notice>}{children(of.data)}</>
  }
  if (of.error) return <Trouble error={of.error} again={() => void of.refetch()} />
  return <div className="loading" role="status">Loading {what} …</div>
}

/** Go is a button that works, and says beside itself what came of it. */
export function Go({ label, busy, done, error, primary, danger, plain, disabled, submit, onClick, children, name }: {
  label: ReactNode; busy?: boolean; done?: ReactNode; error?: unknown; primary?: boolean; danger?: boolean; plain?: boolean
  disabled?: boolean; submit?: boolean; onClick?: () => void; children?: ReactNode; name?: string
}) {
  return (
    <div className="action">
      <button type={submit ? 'submit' : 'button'} className={[primary && 'primary', danger && 'danger', plain && 'plain'].filter(Boolean).join(' ') || undefined}
        aria-disabled={busy || disabled || undefined} aria-busy={busy || undefined} aria-label={name}
        onClick={(event) => {
          if (busy || disabled) { event.preventDefault(); return }
          onClick?.()
        }}>{busy ? <>{label} …</> : label}</button>
      {children}
      <div className="said" role="status">{done && !busy && !error && <span className="notice good">{done}</span>}</div>
      {!busy && <Trouble error={error} />}
    </div>
  )
}

export const Field = ({ label, hint, error, broad, children }: { label: ReactNode; hint?: ReactNode; error?: string; broad?: boolean; children: ReactNode }) => (
  <label className={broad ? 'field broad' : 'field'}><span>{label}</span>{children}{hint && <small>{hint}</small>}{error && <small className="bad" role="alert">{error}</small>}</label>
)

/** Bar is a share of 1, drawn. */
export const Bar = ({ share, from = 0, className = '' }: { share: number; from?: number; className?: string }) => (
  <svg className={`bar ${className}`} viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
    <rect className="bar-track" width="100" height="8" />
    <rect className="bar-fill" x={Math.max(0, Math.min(100, from * 100))} width={Math.max(0.5, Math.min(100, share * 100))} height="8" />
  </svg>
)

/** Copy shows a text and takes it to the clipboard. */
export function Copy({ text }: { text: string }) {
  const [copied, setCopied] = useState(false)
  return <div className="row"><code>{text}</code><Go label="Copy" plain done={copied && 'Copied.'} onClick={() => void navigator.clipboard.writeText(text).then(() => setCopied(true), () => undefined)} /></div>
}
