// Who is signed in. The token stays in this tab and ends with it.

const KEY = 'geminivideo.token';
const LEFT = 'geminivideo.left'; // somebody signed out here: do not sign in by itself

const ranks = { viewer: 1, editor: 2, admin: 3 };

/** session is who the token stands for, or null. The API decides; this only shows. */
export function session() {
  const token = sessionStorage.getItem(KEY);
  return token && read(token);
}

/** signIn keeps a token, or throws what is wrong with it. */
export function signIn(token) {
  const bare = token.trim().replace(/^bearer\s+/i, '');
  const who = read(bare);
  if (!who) throw new Error('This is not an access token: it has three parts with dots between them and begins with eyJ.');
  if (who.expires < Date.now()) throw new Error('This token has expired. Get a new one and paste it here.');
  sessionStorage.setItem(KEY, bare);
  sessionStorage.removeItem(LEFT);
  return who;
}

export function signOut() {
  sessionStorage.removeItem(KEY);
  sessionStorage.setItem(LEFT, 'yes');
}

/** may says whether the signed-in role is at least this one. */
export const may = (role) => (ranks[session()?.role] ?? 0) >= ranks[role];

/** localToken asks the local system for its session; elsewhere there is none. */
export async function localToken() {
  if (!['localhost', '127.0.0.1', '[::1]'].includes(location.hostname)) return null;
  try {
    const answer = await fetch('/_local/session', { headers: { Accept: 'application/json' } });
    return answer.ok ? (await answer.json()).token : null;
  } catch {
    return null;
  }
}

/** byItself signs in where the local system offers a session and nobody has left. */
export async function byItself() {
  if (session() || sessionStorage.getItem(LEFT)) return;
  const token = await localToken();
  if (token) signIn(token);
}

function read(token) {
  try {
    const [, claims] = token.split('.');
    const bytes = Uint8Array.from(atob(claims.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
    const told = JSON.parse(new TextDecoder().decode(bytes));
    const app = told.app_metadata ?? {};
    return {
      token,
      tenant: app.tenant_id,
      role: ranks[app.role] ? app.role : 'viewer',
      name: told.email || told.sub || 'somebody',
      expires: (told.exp ?? Infinity) * 1000,
    };
  } catch {
    return null;
  }
}
