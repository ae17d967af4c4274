package connections

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/dealsource"
	"github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/standardwebhook"
)

// DealSource is an address that deals of another CRM or tool are sent to.
type DealSource struct {
	Source              string     `json:"source" doc:"Deals are posted to /webhooks/deals/ and this."`
	Name                string     `json:"name"`
	CreatedAt           time.Time  `json:"created_at"`
	CreatedBy           string     `json:"created_by"`
	PreviousSecretUntil *time.Time `json:"previous_secret_until,omitempty" doc:"Until then the secret before signs too."`
	RevokedAt           *time.Time `json:"revoked_at,omitempty"`
	LastReportAt        *time.Time `json:"last_report_at,omitempty" doc:"When a deal was recorded last, to the minute."`
}

func shownSource(s dealsource.Source) DealSource {
	shown := DealSource{
		Source: s.Source, Name: s.Name, CreatedAt: s.CreatedAt.UTC(), CreatedBy: s.CreatedBy, RevokedAt: inUTC(s.RevokedAt),
		LastReportAt: inUTC(s.LastAt),
	}
	if len(s.Secrets()) > 1 {
		shown.PreviousSecretUntil = inUTC(s.PreviousUntil)
	}
	return shown
}

type sourceList struct {
	Body struct {
		Sources []DealSource `json:"sources" nullable:"false" doc:"The open ones first."`
	}
}

func (f *function) listSources(ctx context.Context, _ *struct{}) (*sourceList, error) {
	out := &sourceList{}
	out.Body.Sources = []DealSource{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		all, err := dealsource.NewStore(tx).List(ctx)
		for _, s := range all {
			out.Body.Sources = append(out.Body.Sources, shownSource(s))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

type sourceOutput struct {
	Body struct {
		DealSource
		Secret string `json:"secret,omitempty" doc:"Signs what is sent, by Standard Webhooks. Shown here once, when it is made."`
	}
}

// setSource is what is stored of an answer: the secret by its version's name.
type setSource struct {
	DealSource
	Version string
}

type newSourceInput struct {
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"100" doc:"What the source is called here."`
	}
}

func (f *function) createSource(ctx context.Context, in *newSourceInput) (*sourceOutput, error) {
	id := auth.From(ctx)
	serve.Note(ctx, "by", id.Subject)
	if answer, found, err := kept[setSource](ctx, f); err != nil || found {
		return f.sourceAnswer(ctx, answer, err)
	}
	source := "src_" + strings.ToLower(rand.Text())
	version, err := f.newSourceSecret(ctx, id.Tenant, source)
	if err != nil {
		return nil, err
	}
	answer, err := idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (setSource, error) {
		if err := known(ctx, tx); err != nil {
			return setSource{}, err
		}
		made, err := dealsource.NewStore(tx).Create(ctx, source, in.Body.Name, version, rand.Text(), id.Who())
		return setSource{shownSource(made), version}, err
	})
	if answer.Version != version { // it failed, or a twin of this request was faster
		f.retire(ctx, id.Tenant, version)
	}
	return f.sourceAnswer(ctx, answer, err)
}

func (f *function) newSourceSecret(ctx context.Context, tenant, source string) (string, error) {
	return f.store(ctx, tenant, "deals-"+source, standardwebhook.NewSecret())
}

// sourceAnswer reads the secret from where it is stored, so that a repeat of the
// request is answered alike and the secret stands in no table.
func (f *function) sourceAnswer(ctx context.Context, answer setSource, err error) (*sourceOutput, error) {
	if err != nil {
		return nil, err
	}
	out := &sourceOutput{}
	out.Body.DealSource = answer.DealSource
	if answer.Version != "" {
		if out.Body.Secret, err = f.Vault.Get(ctx, answer.Version); err != nil {
			return nil, err
		}
	}
	return out, nil
}

type sourceInput struct {
	Source string `path:"source" maxLength:"100"`
}

func (f *function) rotateSource(ctx context.Context, in *sourceInput) (*sourceOutput, error) {
	id := auth.From(ctx)
	serve.Note(ctx, "by", id.Subject, "source", in.Source)
	if answer, found, err := kept[setSource](ctx, f); err != nil || found {
		return f.sourceAnswer(ctx, answer, err)
	}
	var answer setSource
	err := f.alone(ctx, in.Source, func(ctx context.Context) error {
		var before dealsource.Source
		err := pg.InTenant(ctx, f.db, id.Tenant, func(tx pgx.Tx) (err error) {
			before, err = dealsource.NewStore(tx).Get(ctx, in.Source)
			return err
		})
		if err != nil {
			return err
		}
		version, err := f.newSourceSecret(ctx, id.Tenant, in.Source)
		if err != nil {
			return err
		}
		answer, err = idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (setSource, error) {
			now, err := dealsource.NewStore(tx).Rotate(ctx, in.Source, version, standardOverlap)
			return setSource{shownSource(now), version}, err
		})
		if err == nil {
			f.retire(ctx, id.Tenant, deref(before.PreviousSecret))
		}
		return err
	})
	return f.sourceAnswer(ctx, answer, err)
}

func (f *function) revokeSource(ctx context.Context, in *sourceInput) (*sourceOutput, error) {
	id := auth.From(ctx)
	serve.Note(ctx, "by", id.Subject, "source", in.Source)
	out := &sourceOutput{}
	err := f.alone(ctx, in.Source, func(ctx context.Context) error {
		var was dealsource.Source
		answer, err := idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (DealSource, error) {
			store := dealsource.NewStore(tx)
			var err error
			if was, err = store.Get(ctx, in.Source); err != nil {
				return DealSource{}, err
			}
			if err := store.Revoke(ctx, in.Source, id.Who()); err != nil {
				return DealSource{}, err
			}
			was.PreviousUntil, was.RevokedAt = nil, &was.Now
			return shownSource(was), nil
		})
		if err == nil {
			out.Body.DealSource = answer
			f.retire(ctx, id.Tenant, was.Secret, deref(was.PreviousSecret))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (f *function) listSourceStages(ctx context.Context, in *sourceInput) (*stagesOutput, error) {
	out := &stagesOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		portal, pipelines, err := sourcePipelines(ctx, tx, in.Source)
		if err != nil {
			return err
		}
		out.Body, err = mapping(ctx, tx, portal, pipelines)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// sourcePipelines returns the source's one pipeline, whose stages are those that it
// has named and those that are mapped.
func sourcePipelines(ctx context.Context, tx pgx.Tx, source string) (int64, []hubspot.Pipeline, error) {
	s, err := dealsource.NewStore(tx).Get(ctx, source)
	if err != nil {
		return 0, nil, err
	}
	names, err := dealsource.NewStore(tx).Stages(ctx, s.PortalID)
	if err != nil {
		return 0, nil, err
	}
	pipeline := hubspot.Pipeline{ID: dealsource.Pipeline, Label: s.Name}
	for _, name := range names {
		pipeline.Stages = append(pipeline.Stages, hubspot.Stage{ID: name, Label: name})
	}
	return s.PortalID, []hubspot.Pipeline{pipeline}, nil
}

type putSourceStagesInput struct {
	Source string `path:"source" maxLength:"100"`
	Body   struct {
		Stages []stageMapping `json:"stages" minItems:"1" maxItems:"500" doc:"The pipeline_id of every one is default."`
	}
}

func (f *function) putSourceStages(ctx context.Context, in *putSourceStagesInput) (*putStagesOutput, error) {
	id := auth.From(ctx)
	answer, err := idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (answer putStagesAnswer, err error) {
		portal, pipelines, err := sourcePipelines(ctx, tx, in.Source)
		if err != nil {
			return answer, err
		}
		// A source has no list of its stages: one may be mapped before a deal is in it.
		for _, m := range in.Body.Stages {
			if m.PipelineID == dealsource.Pipeline {
				pipelines[0].Stages = append(pipelines[0].Stages, hubspot.Stage{ID: m.StageID, Label: m.StageID})
			}
		}
		labels, err := checkStages(in.Body.Stages, pipelines)
		if err != nil {
			return answer, err
		}
		w := remapping{tx: tx, portal: portal, who: id.Who(), labels: labels, touched: map[string]bool{}}
		if err := w.do(ctx, in.Body.Stages); err != nil {
			return answer, err
		}
		answer.RevaluedDeals = w.deals
		if answer.SettledAds, err = recompute(ctx, tx, w.ads); err != nil {
			return answer, err
		}
		if portal, pipelines, err = sourcePipelines(ctx, tx, in.Source); err != nil {
			return answer, err
		}
		answer.Mapping, err = mapping(ctx, tx, portal, pipelines)
		return answer, err
	})
	if err != nil {
		return nil, err
	}
	outbox.Flush(ctx, f.db, id.Tenant, f.Queue)
	serve.Note(ctx, "by", id.Subject, "source", in.Source, "revalued_deals", answer.RevaluedDeals)
	return &putStagesOutput{answer}, nil
}
