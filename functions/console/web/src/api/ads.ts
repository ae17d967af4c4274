// Ads of a campaign, page after page, and what an ad is called.
import type { Ad } from '@geminivideo/ml-api'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { read } from './query'

const page = 2500

/** allAds reads a campaign's ads in pages, so that no single answer blocks the window. */
export async function allAds(id: string, signal?: AbortSignal): Promise<Ad[]> {
  const all: Ad[] = []
  for (let after: string | undefined; ;) {
    const found = await read('/api/campaigns/{id}/ads', { path: { id }, query: { after, limit: page } }, signal)
    all.push(...found.ads)
    if (!found.next) return all
    after = found.next
    await new Promise((resolve) => setTimeout(resolve)) // let the window breathe
  }
}

export const useAds = (id: string | undefined) =>
  useQuery({ queryKey: ['/api/campaigns/{id}/ads', id], queryFn: ({ signal }) => allAds(id ?? '', signal), enabled: Boolean(id), structuralSharing: false })

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
