// The console's own use of the client: the session's token, and problems as they come.
import { createMlApi, transport } from '@geminivideo/ml-api'
import { accessToken, end, renew, session } from '../auth/session'

export const client = transport(() => ({
  token: accessToken,
  onUnauthorized: async () => {
    const stale = session()?.access
    const fresh = stale ? await renew(stale) : null
    if (fresh === stale) {
      end('Your session has ended. Sign in again; what you typed is still here.')
      return null
    }
    return fresh
  },
}))

export const api = createMlApi(client)
