import { QueryClientProvider } from '@tanstack/react-query'
import { createRoot } from 'react-dom/client'
import 'uplot/dist/uPlot.min.css'
import './style.css'
import { queries } from './api/query'
import { AuthError, fromLink } from './auth/supabase'
import { signIn } from './auth/session'
import { App } from './shell/app'

// The page is served at / too, and older bookmarks have their place behind a #.
const [, old] = location.hash.split('#/')
if (location.pathname === '/') history.replaceState(null, '', `/console/${old ?? ''}${location.search}${old === undefined ? location.hash : ''}`)

let refused: string | undefined
try {
  const grant = await fromLink()
  if (grant) signIn(grant)
} catch (error) {
  refused = error instanceof AuthError ? error.message : 'The sign-in failed.'
}

const root = document.getElementById('root')
if (root) createRoot(root).render(<QueryClientProvider client={queries}><App refused={refused} /></QueryClientProvider>)
