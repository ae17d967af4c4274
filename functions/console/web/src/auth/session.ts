// Who is signed in. All tabs share one session; the API decides what it may do, this only shows it.
import { AuthError, refresh, revoke, type Grant } from './supabase'

export type Role = 'viewer' | 'editor' | 'admin'
const ranks = { viewer: 1, editor: 2, admin: 3 }

export interface Session {
  access: string
  refresh?: string
  expires: number // ms
  email: string
  tenant?: string
  role: Role
}

const KEY = 'geminivideo.session'
const listeners = new Set<() => void>()
let held: Session | null = load()
let ended: Session | null = null
let why: string | undefined

export const session = () => held
/** signedInAs is that, or who it was while a session that ended by itself waits for a new sign-in. */
export const signedInAs = () => held ?? ended
/** Why the last session ended, where it ended by itself. */
export const endedBecause = () => why

export function subscribe(listener: () => void) {
  listeners.add(listener)
  return () => { listeners.delete(listener) }
}

function load(): Session | null {
  try {
    const text = localStorage.getItem(KEY)
    return text ? (JSON.parse(text) as Session) : null
  } catch {
    return null
  }
}

function store(next: Session | null, reason?: string) {
  ended = reason !== undefined ? held : null
  held = next
  why = reason
  if (next) localStorage.setItem(KEY, JSON.stringify(next))
  else localStorage.removeItem(KEY)
  listeners.forEach((listener) => listener())
}

window.addEventListener('storage', (event) => {
  if (event.key !== KEY) return
  held = load()
  if (held) why = undefined
  listeners.forEach((listener) => listener())
})

/** signIn takes what Supabase Auth granted. */
export function signIn(grant: Grant) {
  const claims = read(grant.access_token)
  if (!claims) throw new AuthError(0, 'This is not an access token: it has three parts with dots between them and begins with eyJ.')
  if (claims.expires < Date.now()) throw new AuthError(0, 'This token has expired. Get a new one and paste it here.')
  store({ ...claims, access: grant.access_token, refresh: grant.refresh_token })
}

/** signOut ends the session here, or on every device. What the server cannot be told ends here all the same. */
export async function signOut(everywhere: boolean) {
  const ending = held
  store(null)
  if (ending?.refresh) await revoke(ending.access, everywhere ? 'global' : 'local').catch(() => undefined)
}

export function end(reason: string) {
  if (held) store(null, reason)
}

const soon = 60_000

/** accessToken returns a token that is good for a while yet, refreshed where it must be. */
export async function accessToken(): Promise<string | null> {
  if (!held) return null
  if (held.expires - Date.now() > soon) return held.access
  return (await renew(held.access)) ?? null
}

/**
 * renew trades the refresh token once for all tabs: whoever has the lock second
 * finds the new session there. It ends the session where Supabase refuses.
 */
export async function renew(stale: string): Promise<string | null> {
  return navigator.locks.request('geminivideo.refresh', async () => {
    held = load()
    if (!held) return null
    if (held.access !== stale && held.expires - Date.now() > soon) return held.access
    if (!held.refresh) {
      end('Your session has ended. Sign in again; what you typed is still here.')
      return null
    }
    try {
      signIn(await refresh(held.refresh))
      return held.access
    } catch (error) {
      if (error instanceof AuthError && error.status >= 400 && error.status < 500 && error.status !== 429) {
        end('Your session has ended. Sign in again; what you typed is still here.')
        return null
      }
      if (held.expires > Date.now()) return held.access // the token is still good, Auth does not answer
      throw error
    }
  })
}

/** may says whether the signed-in role is at least this one. */
export const may = (role: Role) => (signedInAs() ? ranks[signedInAs()!.role] : 0) >= ranks[role]

function read(token: string): Omit<Session, 'access' | 'refresh'> | null {
  try {
    const claims = token.split('.')[1] ?? ''
    const bytes = Uint8Array.from(atob(claims.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0))
    const told = JSON.parse(new TextDecoder().decode(bytes)) as { exp?: number; email?: string; sub?: string; app_metadata?: { tenant_id?: string; role?: string } }
    const role = told.app_metadata?.role
    return {
      expires: (told.exp ?? 0) * 1000,
      email: told.email ?? told.sub ?? 'somebody',
      tenant: told.app_metadata?.tenant_id,
      role: role === 'admin' || role === 'editor' ? role : 'viewer',
    }
  } catch {
    return null
  }
}
