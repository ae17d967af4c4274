// The shapes that callers name. Members that an answer may lack are optional; none is null.

export interface AdState {
  ad_id: string
  impressions: number
  clicks: number
  spend: number
  pipeline_value?: number
  cash_revenue?: number
  deals?: number
  won_deals?: number
  age_hours: number
  current_budget?: number
  min_budget?: number
  max_budget?: number
  excluded?: boolean
}

export interface BudgetMetrics {
  impressions: number
  clicks: number
  ctr: number
  pipeline_roas: number
  ctr_weight: number
  roas_weight: number
  blended_score: number
  decay_factor: number
  age_hours: number
}

export type Verdict = 'none' | 'kill' | 'maintain' | 'scale'

export interface BudgetRecommendation {
  ad_id: string
  current_budget: number
  recommended_budget: number
  change_percentage: number
  confidence: number
  reason: string
  metrics: BudgetMetrics
  interval: { low: number; high: number }
  p_best: number
  verdict: Verdict
}

export interface BudgetOptimizationRequest {
  ad_states: AdState[]
  total_budget: number
  creative_dna_scores?: Record<string, number>
  account_id?: string
  seed?: number
  allow_unspent?: boolean
}

export interface AccountOutlook {
  expected_return: number
  marginal_return: number
  break_even: number
  verdict: 'spend_more' | 'hold' | 'spend_less' | 'unknown'
  reason: string
  total_at_break_even?: number
}

export interface BudgetOptimizationResponse {
  total_budget: number
  recommendations: BudgetRecommendation[]
  num_ads: number
  unallocated_budget: number
  decision_id: string
  seed: number
  currency: string
  account?: AccountOutlook
}

export interface FeedbackResponse {
  status: string
  ad_id: string
  actual_roas: number
  timestamp: string
  winner?: boolean
}

/** An open description of a creative; hook_type, visual_pacing and others are understood. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type CreativeDNA = any

export interface WinnerMatch {
  ad_id: string
  similarity: number
  metadata: { creative_dna?: CreativeDNA; pipeline_roas?: number; ctr?: number }
}

export interface WinnerSearchRequest {
  query: string
  top_k?: number
  min_ctr?: number
  min_similarity?: number
}

export interface WinnerSearchResponse {
  query: string
  total_in_memory: number
  results_found: number
  winners: WinnerMatch[]
  memory_backend: string
}

export interface MemoryStats {
  total_winners_in_memory: number
  faiss_index_size: number
  dimension: number
  embedding_model: string
  memory_backend: string
  storage_backend: string
  index_bytes: number
}

export interface LearningCycleRequest {
  account_id: string
  trigger_retrain?: boolean
  accuracy_threshold?: number
}

export interface LearningStep {
  step: number
  name: string
  status?: string
  successful?: number
  failed?: number
  accuracy?: number
  triggered?: boolean
  new_patterns?: number
  promoted?: number
  reason?: string
}

export interface LearningCycleResult {
  cycle_id: string
  cycle_started_at: string
  cycle_completed_at?: string
  duration_seconds?: number
  status: string
  steps: LearningStep[]
}

export interface StageValue {
  stage_name: string
  value: number
  confidence: number
  description?: string
}

export interface PipelineStages {
  tenant_id: string
  stages: StageValue[]
  num_stages: number
  currency: string
}

export interface StageUpdate extends StageValue {
  currency: string
  revalued_deals: number
}

export interface StageChange {
  stage_from?: string
  stage_to: string
  deal_value?: number
}

export interface SyntheticRevenue {
  stage_from?: string
  stage_to: string
  synthetic_value: number
  calculated_value: number
  confidence: number
  reason: string
  timestamp: string
}

export interface AdROAS {
  pipeline_value: number
  pipeline_roas: number
  avg_confidence: number
  num_stage_changes: number
  ad_spend: number
}

export interface CreativePredictionRequest {
  creative_dna: CreativeDNA
  account_id: string
  rag_context?: unknown
}

export interface CreativePrediction {
  decision: 'PROCEED' | 'REJECT'
  reason?: string
  recommendation: string
  predicted_ctr: number
  predicted_roas: number
  confidence: number
  account_baseline: number
  baseline_source: string
}

export interface OraclePrediction {
  predicted_ctr: number
  predicted_roas: number
  confidence: number
  model_version: string
}

export interface FatigueDay {
  date?: string
  ctr: number
  frequency: number
  cpm: number
  impressions: number
}

export interface FatigueVerdict {
  ad_id: string
  status: 'HEALTHY' | 'FATIGUING' | 'SATURATED' | 'AUDIENCE_EXHAUSTED' | 'INSUFFICIENT_DATA'
  confidence: number
  reason: string
  days_until_critical?: number
}

export interface Campaign {
  id: string
  name: string
  status: string
  total_budget: number
  num_ads: number
  impressions: number
  clicks: number
  spend: number
  pipeline_value: number
  revenue: number
  account_id: string
  currency: string
}

export interface Ad {
  id: string
  name: string
  status: string
  daily_budget: number
  impressions: number
  clicks: number
  spend: number
  pipeline_value: number
  revenue: number
  created_at: string
  fatigue_status: string
}

export interface CampaignWithAds extends Campaign {
  ads: Ad[]
  next?: string
}
