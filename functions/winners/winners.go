// Package winners stores winning creatives and finds those like a query. It
// serves /api/ml/rag/. Indexing the same ad again changes nothing but its
// figures, so repeating a request is safe.
package winners

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/gemini"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
	memory "github.com/geminivideo/geminivideo/shared/winners"
)

func init() { serve.HTTP("winners", build) }

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

// backend names where the memory is, as the seed's frontend asks.
const backend = "pgvector"

type function struct {
	db     *pg.DB
	models embed.Models
}

// New returns the function's handler.
func New(db *pg.DB, access serve.Access, models embed.Models) http.Handler {
	f := &function{db: db, models: models}
	api := serve.NewAPI(access)
	api.Check("postgres", db.Ping)
	serve.Post(api, "/api/ml/rag/search-winners", auth.Viewer, f.search,
		serve.Summary("Finds the winning ads most like a text or a creative DNA."))
	serve.Post(api, "/api/ml/rag/index-winner", auth.Editor, f.index,
		serve.Summary("Stores a winning ad in the winner memory."))
	serve.Get(api, "/api/ml/rag/winner/{ad_id}", auth.Viewer, f.show,
		serve.Summary("Shows what is stored of a winner."))
	serve.Get(api, "/api/ml/rag/memory-stats", auth.Viewer, f.stats,
		serve.Summary("Says how many winners are stored, and with which embedding model."))
	return api
}

type showInput struct {
	AdID string `path:"ad_id" minLength:"1" maxLength:"256"`
}

type showOutput struct {
	Body struct {
		AdID           string    `json:"ad_id"`
		Active         bool      `json:"active" doc:"Whether searches find it: false while the ad is below the winner's bar."`
		Metadata       metadata  `json:"metadata"`
		AdData         openJSON  `json:"ad_data" doc:"What was said of the ad when it was indexed."`
		EmbeddingModel string    `json:"embedding_model"`
		IndexedAt      time.Time `json:"indexed_at"`
		UpdatedAt      time.Time `json:"updated_at"`
	}
}

func (f *function) show(ctx context.Context, in *showInput) (*showOutput, error) {
	out := &showOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		store := memory.NewStore(tx)
		_, model, err := f.searched(ctx, store)
		if err != nil {
			return err
		}
		found, err := store.Get(ctx, in.AdID, model)
		if err != nil {
			return err
		}
		b := &out.Body
		b.AdID, b.Active, b.AdData, b.EmbeddingModel = found.AdID, found.Active, openJSON(found.Data), found.Model
		b.Metadata = metadata{openJSON(found.DNA), found.ROAS, found.CTR}
		b.IndexedAt, b.UpdatedAt = found.IndexedAt.UTC(), found.UpdatedAt.UTC()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

type statsOutput struct {
	Body struct {
		TotalWinners   int64      `json:"total_winners_in_memory" doc:"Winners that searches find."`
		IndexSize      int64      `json:"faiss_index_size" doc:"Vectors with a code. The name is kept for the frontend; the codes are in Postgres."`
		Stored         int64      `json:"total_remembered" doc:"With the ads that wait to be winners again."`
		Dimension      int        `json:"dimension"`
		EmbeddingModel string     `json:"embedding_model"`
		MemoryBackend  string     `json:"memory_backend"`
		StorageBackend string     `json:"storage_backend"`
		IndexBytes     int64      `json:"index_bytes" doc:"Your share of the table of codes that all tenants use, by number of vectors."`
		Search         string     `json:"search" enum:"exact,codes" doc:"How queries are answered: by comparing all vectors, or by comparing codes of 1,024 bits first and then the vectors of the nearest."`
		Recall         float64    `json:"recall" doc:"Of the nearest that an exact search finds, the share that a search by codes finds, measured daily: below 0.995, searches compare all vectors. 1 where there are too few winners for codes."`
		RecallSample   int        `json:"recall_sample" doc:"How many searches that was measured with; 0 where there are too few winners for codes."`
		RecallAt       *time.Time `json:"recall_measured_at,omitempty"`
		Change         *change    `json:"embedding_change,omitempty" doc:"While everything is embedded with another model; searches use embedding_model until that is complete."`
	}
}

type change struct {
	Model     string `json:"embedding_model" doc:"The model that searches will use."`
	Remaining int64  `json:"remaining" doc:"Winners that are not embedded with it yet."`
}

// searched returns the tenant's models, and which of them searches use.
func (f *function) searched(ctx context.Context, store memory.Store) (memory.Models, string, error) {
	models, err := store.Models(ctx, f.models.Configured())
	if err != nil {
		return models, "", err
	}
	e, err := models.Embedder(f.models, auth.From(ctx).Tenant)
	if err != nil {
		return models, "", err
	}
	return models, e.Model(), nil
}

func (f *function) stats(ctx context.Context, _ *struct{}) (*statsOutput, error) {
	out := &statsOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		store := memory.NewStore(tx)
		models, model, err := f.searched(ctx, store)
		if err != nil {
			return err
		}
		stats, err := store.Stats(ctx, model)
		if err != nil {
			return err
		}
		b := &out.Body
		b.TotalWinners, b.IndexSize, b.Stored, b.IndexBytes = stats.Active, stats.Active, stats.Stored, stats.IndexBytes
		b.Dimension, b.EmbeddingModel = embed.Dimensions, model
		b.MemoryBackend, b.StorageBackend = backend, "postgresql"
		recall, err := store.Recall(ctx, model)
		if err != nil {
			return err
		}
		b.Search, b.Recall, b.RecallSample = "exact", recall.Recall, recall.Sampled
		if recall.Sampled > 0 {
			b.RecallAt = &recall.MeasuredAt
		}
		if recall.Trusted {
			b.Search = "codes"
		}
		if models.Target == "" {
			return nil
		}
		left, err := store.Left(ctx, models.Active, models.Target)
		b.Change = &change{models.Target, left}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
