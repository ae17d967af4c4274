import { useState } from 'react'
import { Link, useLocation } from 'wouter'
import { signOut, type Session } from '../auth/session'
import { useGet } from '../api/query'
import { Go } from '../parts/basic'
import { Mark } from './mark'
import { TenantChoice } from './tenants'

const views: [string, string][] = [
  ['/', 'Home'], ['/budget', 'Budget'], ['/campaigns', 'Campaigns'], ['/changes', 'Changes'], ['/winners', 'Winners'],
  ['/creative', 'Creative'], ['/pipeline', 'Pipeline'], ['/learning', 'Learning'], ['/decisions', 'Decisions'], ['/setup', 'Set-up'],
]

export function Side({ person }: { person: Session }) {
  const [path] = useLocation()
  const [open, setOpen] = useState(false)
  const waiting = useGet('/api/ads/changes', { query: { status: 'open', limit: 200 } }).data?.changes.filter((one) => one.status === 'awaiting_approval').length ?? 0
  const here = (to: string) => (to === '/' ? path === '/' : path === to || path.startsWith(`${to}/`) || (to === '/campaigns' && path.startsWith('/ads/')))
  return (
    <header className={open ? 'side open' : 'side'}>
      <Link className="brand" href="/"><Mark />geminivideo</Link>
      <button type="button" className="menu" aria-expanded={open} aria-controls="views" onClick={() => setOpen(!open)}>Menu</button>
      <nav id="views" aria-label="Views">
        {views.map(([to, title]) => (
          <Link key={to} href={to} aria-current={here(to) ? 'page' : undefined} onClick={() => setOpen(false)}>
            {title}{to === '/changes' && waiting > 0 && <span className="count">{waiting}<span className="visually-hidden"> wait for approval</span></span>}
          </Link>
        ))}
      </nav>
      <div className="who">
        <details>
          <summary>{person.email}<br />{person.role}</summary>
          <Account />
        </details>
      </div>
    </header>
  )
}

function Account() {
  const [shown, setShown] = useState(false)
  return (
    <div>
      <TenantChoice shown={shown} show={() => setShown(true)} />
      <Go label="Sign out" onClick={() => void signOut(false)} />
      <Go label="Sign out everywhere" plain onClick={() => void signOut(true)} />
    </div>
  )
}
