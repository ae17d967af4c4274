// Package predict says what a creative would do before money is spent on it. It
// serves POST /api/ml/predict-creative, the gate, and POST /api/titan/oracle/predict.
// It writes nothing but the account's trained model, which is a cache of what the
// account's ads have done: repeating a request is safe with or without a key.
package predict

import (
	"context"
	"net/http"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/gemini"
	"github.com/geminivideo/geminivideo/shared/oracle"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
)

func init() { serve.HTTP("predict", build) }

type config struct {
	Postgres pg.Config
	Access   serve.AccessConfig
	Gemini   gemini.Config
}

func build(ctx context.Context) (http.Handler, error) {
	cfg, err := settings.Load[config](ctx)
	if err != nil {
		return nil, err
	}
	db, err := pg.Open(ctx, cfg.Postgres)
	if err != nil {
		return nil, err
	}
	client, err := gemini.Open(ctx, cfg.Gemini, db)
	if err != nil {
		return nil, err
	}
	return New(db, serve.NewAccess(cfg.Access, db), gemini.Models(client)), nil
}

type function struct {
	db     *pg.DB
	oracle *oracle.Oracle
	models embed.Models
}

// New returns the function's handler. models embed the creative, for the nearest
// winners; no number comes from them alone.
func New(db *pg.DB, access serve.Access, models embed.Models) http.Handler {
	f := &function{db: db, oracle: oracle.New(db), models: models}
	api := serve.NewAPI(access)
	api.Check("postgres", db.Ping)
	serve.Post(api, "/api/ml/predict-creative", auth.Editor, f.gate,
		serve.Summary("Says whether a creative is worth spending on: its predicted CTR against the account's average."))
	serve.Post(api, "/api/titan/oracle/predict", auth.Editor, f.predict,
		serve.Summary("Predicts a creative's CTR and ROAS, with 90% intervals."))
	return api
}

type gateInput struct {
	Body struct {
		CreativeDNA openJSON `json:"creative_dna" doc:"Open. Known keys and sections are understood, others kept and ignored by the model."`
		AccountID   string   `json:"account_id" minLength:"1" maxLength:"200" doc:"One of your ad accounts."`
		RAGContext  anyJSON  `json:"rag_context,omitempty" doc:"The winners most like it, as search-winners answers them: that answer, its winners list, or null. In their place the function searches itself. Only each one's ad_id and similarity count: its figures are those that are stored."`
	}

	asked question
}

type predictInput struct {
	Body struct {
		CreativeDNA openJSON `json:"creative_dna" doc:"Open. Known keys and sections are understood, others kept and ignored by the model."`
		AccountID   string   `json:"account_id,omitempty" maxLength:"200" doc:"Without it: your only account, or what all your accounts have in common."`
		RAGContext  anyJSON  `json:"rag_context,omitempty" doc:"As for predict-creative."`
	}

	asked question
}

type gateOutput struct{ Body gateAnswer }

type gateAnswer struct {
	Decision        string     `json:"decision" enum:"PROCEED,REJECT" doc:"REJECT where, by value, it would probably earn less than 0.70 x the account's average per impression, or, by ctr, where predicted_ctr is below 0.70 x account_baseline."`
	Gate            string     `json:"gate" enum:"value,ctr" doc:"What was asked: what an impression would earn, where the account knows what its clicks are worth; else how often it would be clicked."`
	TestBudget      *float64   `json:"test_budget,omitempty" doc:"What to try an uncertain PROCEED with, in units of the account's currency."`
	PredictedValue  *float64   `json:"predicted_value_per_impression,omitempty" doc:"Pipeline value, in units; only where the gate asks for value."`
	BaselineValue   *float64   `json:"baseline_value_per_impression,omitempty" doc:"The account's average of it."`
	Reason          string     `json:"reason"`
	Recommendation  string     `json:"recommendation"`
	PredictedCTR    float64    `json:"predicted_ctr" doc:"A rate, 0 to 1: the long-run mean of ads with such a DNA in the account; that it goes viral is not counted on."`
	PredictedROAS   float64    `json:"predicted_roas" doc:"Pipeline value over spend, of the long run."`
	Confidence      float64    `json:"confidence" doc:"The probability that the decision is right: that what the gate asks for truly lies on the decision's side of 0.70 x its average."`
	AccountBaseline float64    `json:"account_baseline" doc:"The average CTR that it is held against, a rate: clicks over impressions."`
	BaselineSource  string     `json:"baseline_source" enum:"account,niche,global_prior" doc:"account: with 10 clicks, or one in 1,000 impressions; else niche: your other accounts with the same niche; else the global prior."`
	Intervals       intervals  `json:"intervals"`
	Weaknesses      []weakness `json:"weaknesses" nullable:"false" doc:"What costs clicks, the dearest first."`
	Evidence
}

type predictOutput struct{ Body predictAnswer }

type predictAnswer struct {
	PredictedCTR   float64    `json:"predicted_ctr" doc:"A rate, 0 to 1: the long-run mean of ads with such a DNA in the account; that it goes viral is not counted on."`
	PredictedROAS  float64    `json:"predicted_roas" doc:"Pipeline value over spend, of the long run."`
	Confidence     float64    `json:"confidence" doc:"The probability that predict-creative's decision would be right."`
	Intervals      intervals  `json:"intervals"`
	Baseline       float64    `json:"account_baseline" doc:"The average CTR beside it, a rate."`
	BaselineSource string     `json:"baseline_source" enum:"account,niche,global_prior"`
	Weaknesses     []weakness `json:"weaknesses" nullable:"false" doc:"What costs clicks, the dearest first."`
	Evidence
}

type intervals struct {
	CTR  interval `json:"ctr"`
	ROAS interval `json:"roas"`
}

type interval struct {
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Level float64 `json:"level" doc:"The probability that the true, long-run figure lies between: 0.9. What a day of few impressions shows varies more."`
}

type weakness struct {
	Feature     string   `json:"feature"`
	Value       string   `json:"value"`
	Effect      float64  `json:"effect" doc:"Share of clicks lost against what your ads usually do with the feature: 0.2 is 20%."`
	Probability float64  `json:"probability" doc:"That it costs clicks at all, 0 to 1."`
	Instead     string   `json:"instead" doc:"What better ads did; empty where none is known."`
	Ads         []string `json:"ads" nullable:"false" doc:"Good ads that did so, best first."`
}

// Evidence is what both answers say of where the numbers come from.
type Evidence struct {
	ModelVersion   string      `json:"model_version" doc:"The same data train the same version."`
	Ads            int         `json:"ads_in_history" doc:"Ads of the account and its niche."`
	OwnAds         int         `json:"own_ads_in_history"`
	Neighbours     []neighbour `json:"neighbours" nullable:"false" doc:"The winners most like it, of those whose figures the model knows. They move the numbers as far as likeness has been seen to tell in this account."`
	EmbeddingModel string      `json:"embedding_model" doc:"What the neighbours were found with; empty where no search was possible or needed."`
	RAGContext     *ragUse     `json:"rag_context,omitempty" doc:"What became of the rag_context, where one was sent."`
}

type neighbour struct {
	AdID       string  `json:"ad_id"`
	Similarity float64 `json:"similarity" doc:"Cosine, 0 to 1."`
}

type ragUse struct {
	Used    int    `json:"used"`
	Ignored int    `json:"ignored"`
	Rule    string `json:"rule"`
}
