// Ads of a campaign, page after page, and what an ad is called.
import type { Ad } from '@geminivideo/ml-api'
import { keepPreviousData, queryOptions, useQuery, type QueryClient } from '@tanstack/react-query'
import { read } from './query'

/** Ads are a campaign's; more says that the rest of them is still on its way. */
export interface Ads { ads: Ad[]; more: boolean }

// The first page is small, so that it is drawn at once; the others are large, for each costs a request.
const [firstPage, otherPages] = [200, 2500]

const page = (id: string, after: string | undefined, signal: AbortSignal) =>
  read('/api/campaigns/{id}/ads', { path: { id }, query: { after, limit: after ? otherPages : firstPage } }, signal)

// all reads a campaign's ads. Where none are there yet, the first page is shown before the others come; the others are shown together,
// for each showing sorts anew.
async function all(id: string, signal: AbortSignal, client: QueryClient): Promise<Ads> {
  const first = await page(id, undefined, signal)
  if (!first.next) return { ads: first.ads, more: false }
  const { queryKey } = adsOf(id)
  if (client.getQueryData<Ads>(queryKey)?.more !== false) client.setQueryData<Ads>(queryKey, { ads: first.ads, more: true })
  const ads: Ad[] = [...first.ads]
  for (let after: string | undefined = first.next; after;) {
    await new Promise((resolve) => setTimeout(resolve)) // each page is a task of its own
    const next: { ads: Ad[]; next?: string } = await page(id, after, signal)
    for (const ad of next.ads) ads.push(ad)
    after = next.next
  }
  return { ads, more: false }
}

export const adsOf = (id: string) => queryOptions<Ads>({
  queryKey: ['/api/campaigns/{id}/ads', id], queryFn: ({ signal, client }) => all(id, signal, client), structuralSharing: false,
})

export const useAds = (id: string) => useQuery(adsOf(id))

export const tiring = (ad: { fatigue_status: string }) => !['HEALTHY', 'INSUFFICIENT_DATA'].includes(ad.fatigue_status)

/** useAdNames is what these ads are called; an ad that nobody named goes by its id. */
export function useAdNames(ids: string[]): (id: string) => string {
  const asked = [...new Set(ids)].sort()
  const found = useQuery({
    queryKey: ['/api/ads', asked], enabled: asked.length > 0, staleTime: 300_000, placeholderData: keepPreviousData,
    queryFn: async ({ signal }) => {
      const names = new Map<string, string>()
      for (let at = 0; at < asked.length; at += 100) {
        const page = await read('/api/ads', { query: { ids: asked.slice(at, at + 100).join(','), limit: 100 } }, signal)
        for (const ad of page.ads) names.set(ad.id, ad.name)
      }
      return names
    },
  })
  return (id) => found.data?.get(id) ?? id
}
