// mlApi: the API's methods by the names that front ends know.
import { newKey, Problem, transport, withoutNulls, type Options, type Transport } from './client.js'
import type * as T from './types.js'

export * from './client.js'
export type * from './types.js'

/** How a caller may steer one write: the same key for the same intent, and a way to give up. */
export interface Send {
  idempotencyKey?: string
  signal?: AbortSignal
}

/** createMlApi returns the methods over one transport. */
export function createMlApi(client: Transport) {
  const header = (send?: Send) => ({ 'Idempotency-Key': send?.idempotencyKey ?? newKey() })
  const read = async <R>(asked: Promise<{ data?: unknown }>): Promise<R> => withoutNulls((await asked).data) as R

  const getCycle = (cycleId: string, send?: Send) =>
    read<T.LearningCycleResult>(client.GET('/api/ml/self-learning-cycle/{cycle_id}', { params: { path: { cycle_id: cycleId } }, signal: send?.signal }))

  return {
    /** Splits a budget across ads by what each is likely to return. */
    optimizeBudget: (request: T.BudgetOptimizationRequest, send?: Send) =>
      read<T.BudgetOptimizationResponse>(client.POST('/api/ml/battle-hardened/select', { body: request as never, params: { header: header(send) }, signal: send?.signal })),

    /** Records what an ad has brought in and cost to date. */
    registerFeedback: (adId: string, actualPipelineValue: number, actualSpend: number, send?: Send) =>
      read<T.FeedbackResponse>(client.POST('/api/ml/battle-hardened/feedback', {
        body: { ad_id: adId, actual_pipeline_value: actualPipelineValue, actual_spend: actualSpend } as never, params: { header: header(send) }, signal: send?.signal,
      })),

    /** Queues what a decision recommends, for all of its ads or some. */
    applyDecision: (decisionId: string, adIds?: string[], send?: Send) =>
      read<{ decision_id: string; queued: number; ads: { ad_id: string; status: string; reason?: string; change_id?: string }[] }>(
        client.POST('/api/ml/battle-hardened/apply', { body: { decision_id: decisionId, ad_ids: adIds } as never, params: { header: header(send) }, signal: send?.signal })),

    /** Finds winning ads that are like a text or a creative DNA. */
    searchWinners: (request: T.WinnerSearchRequest, send?: Send) =>
      read<T.WinnerSearchResponse>(client.POST('/api/ml/rag/search-winners', { body: request as never, params: { header: header(send) }, signal: send?.signal })),

    /** What the memory of winners holds. */
    getRAGStats: (send?: Send) => read<T.MemoryStats>(client.GET('/api/ml/rag/memory-stats', { signal: send?.signal })),

    /**
     * Runs a learning cycle to its end. A cycle that outlasts one request is asked
     * for every few seconds; give up with a signal.
     */
    triggerSelfLearningCycle: async (request: T.LearningCycleRequest, send?: Send): Promise<T.LearningCycleResult> => {
      let cycle = await read<T.LearningCycleResult>(client.POST('/api/ml/self-learning-cycle', { body: request as never, params: { header: header(send) }, signal: send?.signal }))
      while (cycle.status === 'running') {
        await pause(2000, send?.signal)
        cycle = await getCycle(cycle.cycle_id, send)
      }
      return cycle
    },
    getLearningCycle: getCycle,

    /** What each stage of the pipeline is worth, least first. */
    getPipelineStages: (tenantId: string, send?: Send) =>
      read<T.PipelineStages>(client.GET('/api/ml/synthetic-revenue/stages', { params: { query: { tenant_id: tenantId } }, signal: send?.signal })),

    /** Changes what a stage is worth; open deals and their ads are revalued at once. */
    updateStageValue: (tenantId: string, stageName: string, value: number, change: { confidence?: number; description?: string } = {}, send?: Send) =>
      read<T.StageUpdate>(client.PUT('/api/ml/synthetic-revenue/stages/{stage_name}', {
        params: { path: { stage_name: stageName }, header: header(send) }, body: { tenant_id: tenantId, value, ...change } as never, signal: send?.signal,
      })),

    /** What a deal's move from one stage to another stands for. */
    calculateSyntheticRevenue: (tenantId: string, change: T.StageChange, send?: Send) =>
      read<T.SyntheticRevenue>(client.POST('/api/ml/synthetic-revenue/calculate', { body: { tenant_id: tenantId, ...change } as never, params: { header: header(send) }, signal: send?.signal })),

    /** What stage changes stand for against what the ad cost. */
    calculateAdROAS: (tenantId: string, adSpend: number, stageChanges: T.StageChange[], send?: Send) =>
      read<T.AdROAS>(client.POST('/api/ml/synthetic-revenue/ad-roas', {
        body: { tenant_id: tenantId, ad_spend: adSpend, stage_changes: stageChanges } as never, params: { header: header(send) }, signal: send?.signal,
      })),

    /** Whether a creative is worth spending on, before it is. */
    predictCreative: (request: T.CreativePredictionRequest, send?: Send) =>
      read<T.CreativePrediction>(client.POST('/api/ml/predict-creative', { body: request as never, params: { header: header(send) }, signal: send?.signal })),

    /** What the trained model expects of a creative. */
    predictOracle: (request: { creative_dna: T.CreativeDNA; account_id?: string; rag_context?: unknown }, send?: Send) =>
      read<T.OraclePrediction>(client.POST('/api/titan/oracle/predict', { body: request as never, params: { header: header(send) }, signal: send?.signal })),

    /** Whether a history of days shows a tired ad. */
    checkFatigue: (adId: string, metricsHistory: T.FatigueDay[], send?: Send) =>
      read<T.FatigueVerdict>(client.POST('/api/ml/fatigue/check', { body: { ad_id: adId, metrics_history: metricsHistory } as never, params: { header: header(send) }, signal: send?.signal })),

    /** Plans a video from what has won, or what to fix first. */
    createBattlePlan: (request: { video_id: string; account_id: string; creative_dna?: T.CreativeDNA }, send?: Send) =>
      read<Record<string, unknown> & { plan_id: string; kind: 'battle_plan' | 'fix_plan' }>(
        client.POST('/api/titan/director/battle-plan', { body: request as never, params: { header: header(send) }, signal: send?.signal })),

    /** Asks for the creative that replaces a tired ad's. */
    refreshCreative: (adId: string, reason: string, send?: Send) =>
      read<{ refresh_id: string; status: string }>(client.POST('/api/titan/director/refresh-creative', { body: { ad_id: adId, reason }, params: { header: header(send) }, signal: send?.signal })),

    /** All campaigns, however many pages they take. */
    getCampaigns: async (send?: Send): Promise<T.Campaign[]> => {
      const all: T.Campaign[] = []
      for (let after: string | undefined; ;) {
        const page = await read<{ campaigns: T.Campaign[]; next?: string }>(client.GET('/api/campaigns', { params: { query: { after } }, signal: send?.signal }))
        all.push(...page.campaigns)
        if (!page.next) return all
        after = page.next
      }
    },

    getCampaign: (id: string, send?: Send) =>
      read<T.CampaignWithAds>(client.GET('/api/campaigns/{id}', { params: { path: { id } }, signal: send?.signal })),
  }
}

const pause = (ms: number, signal?: AbortSignal) =>
  new Promise<void>((resolve, reject) => {
    const timer = setTimeout(resolve, ms)
    signal?.addEventListener('abort', () => { clearTimeout(timer); reject(new Problem(0, 'Given up.')) }, { once: true })
  })

let current: Options = {}

/** configure says where mlApi's methods find the API and whose token they carry. */
export function configure(options: Options): void {
  current = options
}

/** mlApi is the API over the options of configure. */
export const mlApi = createMlApi(transport(() => current))

/** The same name as a namespace of types, for those who write mlApi.AdState. */
export declare namespace mlApi {
  export type AdState = T.AdState
  export type BudgetMetrics = T.BudgetMetrics
  export type BudgetRecommendation = T.BudgetRecommendation
  export type BudgetOptimizationRequest = T.BudgetOptimizationRequest
  export type BudgetOptimizationResponse = T.BudgetOptimizationResponse
  export type WinnerMatch = T.WinnerMatch
  export type WinnerSearchRequest = T.WinnerSearchRequest
  export type WinnerSearchResponse = T.WinnerSearchResponse
  export type MemoryStats = T.MemoryStats
  export type LearningStep = T.LearningStep
  export type LearningCycleRequest = T.LearningCycleRequest
  export type LearningCycleResult = T.LearningCycleResult
  export type StageValue = T.StageValue
  export type PipelineStages = T.PipelineStages
  export type CreativePredictionRequest = T.CreativePredictionRequest
  export type CreativePrediction = T.CreativePrediction
  export type Campaign = T.Campaign
  export type Ad = T.Ad
}
