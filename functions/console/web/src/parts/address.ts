// What a view shows is in its address, so that a reload, a bookmark and the way back find it again.
import { useCallback, useEffect, useSyncExternalStore } from 'react'
import { useSearchParams } from 'wouter'

/** useParam is one named value of the address; the one it has by itself is not written down. */
export function useParam(name: string, fallback = ''): [string, (value: string) => void] {
  const [search, setSearch] = useSearchParams()
  const set = useCallback((value: string) => {
    setSearch((now) => {
      const next = new URLSearchParams(now)
      if (value === fallback) next.delete(name)
      else next.set(name, value)
      return next
    }, { replace: true })
  }, [name, fallback, setSearch])
  return [search.get(name) ?? fallback, set]
}

const unsaved = new Set<symbol>()

/** leaving asks before unsaved edits are lost. */
export const leaving = () => unsaved.size === 0 || window.confirm('What you edited here is not saved. Leave all the same?')

/** useUnsaved warns before edits are lost, by a link, the way back, or closing the tab. */
export function useUnsaved(dirty: boolean) {
  useEffect(() => {
    if (!dirty) return
    const mark = Symbol('edit')
    unsaved.add(mark)
    const warn = (event: BeforeUnloadEvent) => event.preventDefault()
    const navigation = (window as { navigation?: EventTarget }).navigation
    const back = (event: Event) => {
      const to = event as Event & { navigationType?: string }
      if (to.navigationType === 'traverse' && to.cancelable && !leaving()) to.preventDefault()
    }
    window.addEventListener('beforeunload', warn)
    navigation?.addEventListener('navigate', back)
    return () => {
      unsaved.delete(mark)
      window.removeEventListener('beforeunload', warn)
      navigation?.removeEventListener('navigate', back)
    }
  }, [dirty])
}

const draft = (name: string) => `geminivideo.draft.${name}`

/** drafts keep what is typed through a reload or a new sign-in, in this tab. */
export const drafts = {
  get: (name: string) => sessionStorage.getItem(draft(name)),
  set: (name: string, text: string) => { try { sessionStorage.setItem(draft(name), text) } catch { /* full: the page still has it */ } },
  drop: (name: string) => sessionStorage.removeItem(draft(name)),
}

const watch = (changed: () => void) => {
  window.addEventListener('online', changed)
  window.addEventListener('offline', changed)
  return () => {
    window.removeEventListener('online', changed)
    window.removeEventListener('offline', changed)
  }
}
export const useOnline = () => useSyncExternalStore(watch, () => navigator.onLine)
