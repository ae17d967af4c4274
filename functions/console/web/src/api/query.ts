// Reading and writing: what is read is kept and renewed by itself, what is written carries one key per intent.
import { Problem, newKey, withoutNulls, type paths } from '@geminivideo/ml-api'
import { QueryClient, keepPreviousData, useMutation, usePrefetchQuery, useQuery, type UseQueryOptions } from '@tanstack/react-query'
import { useRef } from 'react'
import { client } from './client'

type Method = 'get' | 'put' | 'post' | 'delete'
export type PathOf<M extends Method> = { [P in keyof paths]: paths[P] extends Record<M, { responses: unknown }> ? P : never }[keyof paths] & string
type Operation<P extends keyof paths, M extends Method> = paths[P] extends Record<M, infer O> ? O : never
type Body<R> = R extends { content: { 'application/json': infer T } } ? T : never
export type Answer<P extends keyof paths, M extends Method = 'get'> =
  Operation<P, M> extends { responses: infer R } ? (200 extends keyof R ? Body<R[200]> : never) | (202 extends keyof R ? Body<R[202]> : never) : never
export type Params<P extends keyof paths, M extends Method = 'get'> =
  Operation<P, M> extends { parameters: infer Q } ? { [K in keyof Q as K extends 'path' | 'query' ? K : never]?: NonNullable<Q[K]> } : never
export type Input<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { requestBody?: infer B } ? (NonNullable<B> extends { content: { 'application/json': infer T } } ? Omit<T, '$schema'> : undefined) : undefined

const wait = (problem: unknown, attempt: number) =>
  problem instanceof Problem && problem.retryAfter ? Math.min(problem.retryAfter * 1000, 60_000) : Math.min(1000 * 2 ** attempt, 15_000)

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      networkMode: 'always',
      staleTime: 20_000,
      refetchOnReconnect: 'always',
      retry: (count, problem) => problem instanceof Problem && problem.passing && count < 2,
      retryDelay: (attempt, problem) => wait(problem, attempt),
      // What could not be reached is asked for again until it can be.
      refetchInterval: (query) => (query.state.error instanceof Problem && query.state.error.passing ? wait(query.state.error, 4) : false),
    },
    mutations: { networkMode: 'always', retry: false },
  },
})

export async function read<P extends PathOf<'get'>>(path: P, params?: Params<P>, signal?: AbortSignal): Promise<Answer<P>> {
  const { data } = await client.GET(path as never, { params, signal } as never) as { data: unknown }
  return withoutNulls(data) as Answer<P>
}

type QueryOptions<T> = Partial<Pick<UseQueryOptions<T, Problem>, 'enabled' | 'refetchInterval' | 'staleTime' | 'placeholderData' | 'gcTime'>>

/** useGet reads one operation; its key is the path and what it is asked with. */
export function useGet<P extends PathOf<'get'>>(path: P, params?: Params<P>, options?: QueryOptions<Answer<P>>) {
  return useQuery<Answer<P>, Problem>({ ...asked(path, params), ...options })
}

/** useAhead begins to read what a part of the view will show, without drawing anything anew when it comes. */
export function useAhead<P extends PathOf<'get'>>(path: P, params?: Params<P>) {
  usePrefetchQuery<Answer<P>, Problem>(asked(path, params))
}

const asked = <P extends PathOf<'get'>>(path: P, params?: Params<P>) =>
  ({ queryKey: [path, params ?? {}], queryFn: ({ signal }: { signal: AbortSignal }) => read(path, params, signal) })

export const previous = keepPreviousData

/** invalidate asks again for everything that these paths had answered. */
export const invalidate = (...paths: PathOf<'get'>[]) =>
  Promise.all(paths.map((path) => queries.invalidateQueries({ queryKey: [path] })))

export interface Write<P extends keyof paths, M extends Method> {
  params?: Params<P, M>
  body?: Input<P, M>
}

/** send writes once. */
export async function send<M extends 'put' | 'post' | 'delete', P extends PathOf<M>>(method: M, path: P, write: Write<P, M>, key: string = newKey()): Promise<Answer<P, M>> {
  const call = { put: client.PUT, post: client.POST, delete: client.DELETE }[method] as (path: string, init: unknown) => Promise<{ data: unknown }>
  const { data } = await call(path, { params: { ...write.params, header: { 'Idempotency-Key': key } }, body: write.body })
  return withoutNulls(data) as Answer<P, M>
}

/**
 * useIntent gives out Idempotency-Keys: the same intent that is sent again after no
 * answer keeps its key, so that it takes effect once; another one gets its own.
 */
export function useIntent() {
  const keys = useRef(new Map<string, string>())
  return {
    key(intent: unknown): string {
      const name = JSON.stringify(intent)
      const known = keys.current.get(name) ?? newKey()
      keys.current.set(name, known)
      return known
    },
    over(intent: unknown, error?: unknown) {
      if (!(error instanceof Problem && (error.passing || error.status === 409 || error.status === 401))) keys.current.delete(JSON.stringify(intent))
    },
  }
}

/** useSend is a write as a button or a form makes it; renews says which reads it makes stale. */
export function useSend<M extends 'put' | 'post' | 'delete', P extends PathOf<M>>(method: M, path: P, renews: PathOf<'get'>[] = []) {
  const intent = useIntent()
  return useMutation<Answer<P, M>, Problem, Write<P, M>>({
    mutationFn: async (write) => {
      try {
        const told = await send(method, path, write, intent.key([path, write]))
        intent.over([path, write])
        return told
      } catch (error) {
        intent.over([path, write], error)
        throw error
      }
    },
    onSuccess: () => invalidate(...renews),
  })
}

/** useLoose reads an operation whose answer this deployment may not document yet; a 404 then is an answer too: nothing. */
export function useLoose<T>(path: string, options?: QueryOptions<T | null>) {
  return useQuery<T | null, Problem>({
    queryKey: [path],
    queryFn: async ({ signal }) => {
      try {
        return await read(path as PathOf<'get'>, undefined, signal) as T
      } catch (error) {
        if (error instanceof Problem && error.status === 404) return null
        throw error
      }
    },
    ...options,
  })
}
