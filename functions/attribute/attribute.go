// Package attribute credits a conversion to the click that led to it, in four
// layers, and records it. It serves POST /api/ml/attribution/attribute-conversion;
// the same conversion again answers the same unless its time or the clicks changed.
package attribute

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/revenue"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

func init() { serve.HTTP("attribute", build) }

type config struct {
	Postgres pg.Config
	Access   serve.AccessConfig
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
	return New(db, serve.NewAccess(cfg.Access, db)), nil
}

type function struct{ db *pg.DB }

// New returns the function's handler. It records what it finds, so it asks for
// an editor.
func New(db *pg.DB, access serve.Access) http.Handler {
	f := &function{db: db}
	api := serve.NewAPI(access)
	api.Check("postgres", db.Ping)
	serve.Post(api, "/api/ml/attribution/attribute-conversion", auth.Editor, f.attribute,
		serve.Summary("Credits a conversion to the click that led to it."))
	return api
}

// input describes a conversion. Of the keys, null and "" are the same as absent.
type input struct {
	Body struct {
		TenantID              string         `json:"tenant_id" minLength:"1" maxLength:"100"`
		ConversionID          string         `json:"conversion_id" minLength:"1" maxLength:"200" pattern:"^[^\\x00]*\\S[^\\x00]*$" patternDescription:"text that is not blank" doc:"Your own id; the same id is the same conversion."`
		ConversionType        string         `json:"conversion_type" minLength:"1" maxLength:"100" pattern:"^[^\\x00]*\\S[^\\x00]*$" patternDescription:"text that is not blank" doc:"Such as lead or purchase."`
		ConversionValue       float64        `json:"conversion_value" minimum:"0" doc:"In units of the tenant's currency."`
		ConversionTimestamp   string         `json:"conversion_timestamp" format:"date-time" doc:"RFC 3339. In whole seconds it means that whole second: a click within it is not after it."`
		FBCLID                *string        `json:"fbclid,omitempty" nullable:"true" maxLength:"1024" pattern:"^[^\\x00]*$" patternDescription:"text without NUL"`
		GCLID                 *string        `json:"gclid,omitempty" nullable:"true" maxLength:"1024" pattern:"^[^\\x00]*$" patternDescription:"text without NUL"`
		FBC                   *string        `json:"fbc,omitempty" nullable:"true" maxLength:"1100" pattern:"^[^\\x00]*$" patternDescription:"text without NUL" doc:"The cookie _fbc, fb.1.<ms>.X: the click id X; fbclid counts where both are given."`
		GBRAID                *string        `json:"gbraid,omitempty" nullable:"true" maxLength:"1024" pattern:"^[^\\x00]*$" patternDescription:"text without NUL"`
		WBRAID                *string        `json:"wbraid,omitempty" nullable:"true" maxLength:"1024" pattern:"^[^\\x00]*$" patternDescription:"text without NUL"`
		TTCLID                *string        `json:"ttclid,omitempty" nullable:"true" maxLength:"1024" pattern:"^[^\\x00]*$" patternDescription:"text without NUL"`
		LeadID                *string        `json:"lead_id,omitempty" nullable:"true" maxLength:"200" pattern:"^[^\\x00]*$" patternDescription:"text without NUL" doc:"Of a lead form on Meta: its ad is known for certain."`
		ClickID               *string        `json:"click_id,omitempty" nullable:"true" maxLength:"200" pattern:"^[^\\x00]*$" patternDescription:"text without NUL" doc:"As track-click answered it."`
		FingerprintHash       *string        `json:"fingerprint_hash,omitempty" nullable:"true" maxLength:"128" pattern:"^[^\\x00]*$" patternDescription:"text without NUL" doc:"As track-click answered it."`
		FingerprintComponents map[string]any `json:"fingerprint_components,omitempty" nullable:"true" maxProperties:"100" doc:"Or what it is made of; the hash counts where both are given."`
		IPAddress             *string        `json:"ip_address,omitempty" nullable:"true" maxLength:"64" doc:"Recognises only together with user_agent."`
		UserAgent             *string        `json:"user_agent,omitempty" nullable:"true" maxLength:"1024"`
	}

	converted attribution.ConvertedAt
}

// maxAhead is how far a caller's clock may be ahead of ours.
const maxAhead = 5 * time.Minute

// Resolve checks what the tags cannot say.
func (in *input) Resolve(huma.Context) []error {
	var errs []error
	wrong := func(field, rule string) { errs = append(errs, &huma.ErrorDetail{Location: field, Message: rule}) }
	var err error
	in.converted, err = attribution.ParseConvertedAt(in.Body.ConversionTimestamp)
	switch {
	case err != nil:
		wrong("body.conversion_timestamp", "must be an RFC 3339 time")
	case in.converted.From.After(time.Now().Add(maxAhead)):
		wrong("body.conversion_timestamp", "must not be in the future")
	}
	if ip := value(in.Body.IPAddress); ip != "" {
		if _, ok := attribution.NormaliseIP(ip); !ok {
			wrong("body.ip_address", "must be an IPv4 or IPv6 address")
		}
	}
	return errs
}

type answer struct {
	Success         bool    `json:"success" doc:"A click, or a lead, was found."`
	AttributedClick *string `json:"attributed_click_id" nullable:"true" doc:"null where the match is a lead."`
	Method          string  `json:"attribution_method" enum:"lead_id,url_param,fingerprint,probabilistic,unattributed"`
	Confidence      float64 `json:"attribution_confidence"`
	WindowHours     float64 `json:"attribution_window_hours" doc:"From the click to the conversion; 0 where no click was found."`
	Reason          string  `json:"reason"`
	AdID            *string `json:"ad_id" nullable:"true"`
	CampaignID      *string `json:"campaign_id" nullable:"true"`
	ConversionID    string  `json:"conversion_id"`
}

type output struct{ Body answer }

func (f *function) attribute(ctx context.Context, in *input) (*output, error) {
	if err := auth.Own(ctx, in.Body.TenantID); err != nil {
		return nil, err
	}
	tenant := auth.From(ctx).Tenant
	out, err := idempotency.Run(ctx, f.db, tenant, func(tx pgx.Tx) (answer, error) {
		currency, err := revenue.NewStore(tx).Currency(ctx)
		if err != nil {
			return answer{}, err
		}
		worth, err := money.FromUnits(in.Body.ConversionValue, currency)
		if err != nil {
			return answer{}, fault.Field("body.conversion_value", err.Error())
		}
		found, err := attribution.NewStore(tx).Attribute(ctx, attribution.Conversion{
			ID: in.Body.ConversionID, Type: in.Body.ConversionType, Value: worth, At: in.converted, Keys: in.keys(tenant),
		})
		return explain(in.Body.ConversionID, found), err
	})
	if err != nil {
		return nil, err
	}
	telemetry.Attributions.Add(ctx, 1, "conversion", out.Method)
	serve.Note(ctx, "conversion", out.ConversionID, "method", out.Method)
	return &output{out}, nil
}

// keys returns what the conversion is known by; the salt is the beacon's.
func (in *input) keys(tenant string) attribution.Keys {
	k := attribution.Keys{
		ClickID: value(in.Body.ClickID),
		PlatformIDs: attribution.PlatformIDs{
			FBCLID: value(in.Body.FBCLID), GCLID: value(in.Body.GCLID),
			GBRAID: value(in.Body.GBRAID), WBRAID: value(in.Body.WBRAID), TTCLID: value(in.Body.TTCLID),
		},
		LeadKeys:        attribution.LeadKeys{LeadID: value(in.Body.LeadID)},
		FingerprintHash: value(in.Body.FingerprintHash), IP: value(in.Body.IPAddress), UserAgent: value(in.Body.UserAgent),
	}
	if k.FBCLID == "" {
		k.FBCLID, _ = attribution.ParseFBC(value(in.Body.FBC))
	}
	if k.FingerprintHash == "" {
		k.FingerprintHash = attribution.FingerprintHash(in.Body.FingerprintComponents, tenant)
	}
	return k
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func explain(conversion string, r attribution.Result) answer {
	a := answer{
		Method: r.Method, Confidence: r.Confidence, WindowHours: r.WindowHours, Reason: r.Reason, ConversionID: conversion,
	}
	if r.Method != attribution.Unattributed {
		a.Success, a.AttributedClick, a.AdID, a.CampaignID = true, &r.ClickID, &r.AdID, &r.CampaignID
		if r.Method == attribution.LeadID {
			a.AttributedClick = nil
		}
	}
	return a
}
