// Supabase Auth by its REST API: nothing of it is needed but five calls.

export interface Grant {
  access_token: string
  refresh_token?: string
}

export class AuthError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const setting = (name: string) => {
  const value = document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content ?? ''
  return value.startsWith('{{') ? '' : value
}
const url = setting('supabase-url')
const anonKey = setting('supabase-anon-key')

/** Whether this deployment has a sign-in at all. */
export const configured = url !== '' && anonKey !== ''

async function call<T>(path: string, body?: unknown, token?: string): Promise<T> {
  let answer: Response
  try {
    answer = await fetch(`${url}/auth/v1/${path}`, {
      method: 'POST',
      headers: { apikey: anonKey, 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) },
      body: JSON.stringify(body ?? {}),
    })
  } catch {
    throw new AuthError(0, 'The sign-in cannot be reached. Check your connection and try again.')
  }
  const told = (await answer.json().catch(() => ({}))) as { msg?: string; error_description?: string; error_code?: string }
  if (answer.ok) return told as T
  throw new AuthError(answer.status, words(answer, told))
}

function words(answer: Response, told: { msg?: string; error_description?: string; error_code?: string }): string {
  switch (told.error_code) {
    case 'invalid_credentials': return 'The e-mail address or the password is wrong.'
    case 'email_not_confirmed': return 'This address is not confirmed yet: follow the link in the e-mail that you got when it was added.'
    case 'otp_expired': return 'This link or code has expired or was used. Ask for a new one.'
    case 'otp_disabled': case 'signup_disabled': case 'user_not_found': return 'Nobody with this address has an account here. Ask an admin of your company to add you.'
    case 'over_email_send_rate_limit': case 'over_request_rate_limit': return `Too many tries. Wait ${answer.headers.get('Retry-After') ?? '60'} seconds and try again.`
  }
  if (answer.status === 429) return `Too many tries. Wait ${answer.headers.get('Retry-After') ?? '60'} seconds and try again.`
  return told.msg ?? told.error_description ?? `The sign-in answered ${answer.status} without saying why.`
}

export const withPassword = (email: string, password: string) => call<Grant>('token?grant_type=password', { email, password })
export const refresh = (refresh_token: string) => call<Grant>('token?grant_type=refresh_token', { refresh_token })
export const revoke = (token: string, scope: 'global' | 'local') => call<void>(`logout?scope=${scope}`, {}, token)
export const withCode = (email: string, token: string) => call<Grant>('verify', { type: 'email', email, token: token.trim() })

const VERIFIER = 'geminivideo.verifier'
const base64url = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')

/** sendLink mails a link that signs in this browser: the code it carries is worth nothing without the verifier kept here. */
export async function sendLink(email: string) {
  const verifier = base64url(crypto.getRandomValues(new Uint8Array(48)))
  const challenge = base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))))
  const back = encodeURIComponent(`${location.origin}/console/`)
  await call(`otp?redirect_to=${back}`, { email, create_user: false, code_challenge: challenge, code_challenge_method: 's256' })
  localStorage.setItem(VERIFIER, verifier)
}

/** fromLink finishes the sign-in that the page's address carries, or returns null where it carries none. */
export async function fromLink(): Promise<Grant | null> {
  const query = new URLSearchParams(location.search)
  const hash = new URLSearchParams(location.hash.slice(1))
  const failed = query.get('error_description') ?? hash.get('error_description')
  const code = query.get('code')
  const access = hash.get('access_token')
  if (!failed && !code && !access) return null
  history.replaceState(null, '', '/console/')
  if (failed) throw new AuthError(400, 'This link has expired or was used. Ask for a new one.')
  if (access) return { access_token: access, refresh_token: hash.get('refresh_token') ?? undefined }
  const verifier = localStorage.getItem(VERIFIER)
  if (!verifier) throw new AuthError(400, 'Open the link in the browser that asked for it, or type the code of the e-mail here.')
  localStorage.removeItem(VERIFIER)
  return call<Grant>('token?grant_type=pkce', { auth_code: code, code_verifier: verifier })
}
