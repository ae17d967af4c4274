// Package privacy answers what is held of one CRM contact: what it is known by,
// its deals, and the clicks, conversions and messages that carry its keys. It
// serves GET /api/privacy/contacts/{id} and changes nothing.
package privacy

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
)

func init() { serve.HTTP("privacy", build) }

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

// New returns the function's handler.
func New(db *pg.DB, access serve.Access) http.Handler {
	f := &function{db: db}
	api := serve.NewAPI(access)
	api.Check("postgres", db.Ping)
	serve.Get(api, "/api/privacy/contacts/{id}", auth.Admin, f.export, serve.Summary("Exports what is held of one CRM contact."))
	return api
}

type input struct {
	ID       int64 `path:"id" minimum:"1" doc:"The contact's id in the CRM."`
	PortalID int64 `query:"portal_id" minimum:"0" doc:"The contact's portal; absent: every portal that knows the id."`
}

// Held is what a portal's contact has left behind.
type Held struct {
	PortalID    int64        `json:"portal_id"`
	ContactID   int64        `json:"contact_id"`
	ErasedAt    *time.Time   `json:"erased_at" nullable:"true" doc:"When its data was erased: then the id and hashes are all that is left."`
	ConvertedAt *time.Time   `json:"converted_at" nullable:"true"`
	Keys        []Key        `json:"keys" nullable:"false" doc:"What the contact is known by."`
	Hashes      int          `json:"hashes" doc:"How many keys are kept as hashes, by which an erasure finds clicks."`
	Deals       []Deal       `json:"deals" nullable:"false"`
	Clicks      []Click      `json:"clicks" nullable:"false" doc:"Clicks that carry one of the keys."`
	Conversions []Conversion `json:"conversions" nullable:"false" doc:"Conversions that carry one of the keys."`
	Messages    Messages     `json:"messages" doc:"How many messages about the contact are stored; they hold ids only."`
}

// Key is something that a click may carry too.
type Key struct {
	Kind  string `json:"kind"`
	Value string `json:"value"`
}

// Deal is a deal of the contact, and the ad that it is credited to.
type Deal struct {
	DealID  int64  `json:"deal_id"`
	Stage   string `json:"stage"`
	AdID    string `json:"ad_id"`
	Method  string `json:"attribution_method"`
	Reason  string `json:"reason"`
	Linked  bool   `json:"linked" doc:"Whether the CRM still names the contact in the deal."`
	ClickID string `json:"click_id" doc:"The click that the deal is credited to."`
}

// Click is a stored click.
type Click struct {
	ClickID         string         `json:"click_id"`
	AdID            string         `json:"ad_id"`
	CampaignID      string         `json:"campaign_id"`
	ClickedAt       time.Time      `json:"clicked_at"`
	FBCLID          string         `json:"fbclid"`
	GCLID           string         `json:"gclid"`
	GBRAID          string         `json:"gbraid"`
	WBRAID          string         `json:"wbraid"`
	TTCLID          string         `json:"ttclid"`
	FBP             string         `json:"fbp"`
	FingerprintHash string         `json:"fingerprint_hash"`
	IPAddress       string         `json:"ip_address"`
	UserAgent       string         `json:"user_agent"`
	DeviceType      string         `json:"device_type"`
	LandingPageURL  string         `json:"landing_page_url"`
	Extra           map[string]any `json:"extra" nullable:"false"`
	Consent         *bool          `json:"consent" nullable:"true"`
	LeadID          string         `json:"lead_id" doc:"Set where it is no click but a lead form on Meta."`
	EmailHashed     bool           `json:"email_hashed" doc:"Whether an HMAC of the lead's e-mail address is stored; the address never is."`
	PhoneHashed     bool           `json:"phone_hashed" doc:"The same of its phone number."`
}

// Conversion is a stored conversion.
type Conversion struct {
	ConversionID string    `json:"conversion_id"`
	Type         string    `json:"conversion_type"`
	ConvertedAt  time.Time `json:"converted_at"`
	IPAddress    string    `json:"ip_address"`
	UserAgent    string    `json:"user_agent"`
	AdID         string    `json:"ad_id"`
	Method       string    `json:"attribution_method"`
}

// Messages counts what is stored of the contact's events.
type Messages struct {
	Handled int `json:"handled"`
	Waiting int `json:"waiting"`
	Failed  int `json:"failed"`
}

type output struct {
	Body struct {
		ContactID int64  `json:"contact_id"`
		Contacts  []Held `json:"contacts" nullable:"false" doc:"One for each portal."`
	}
}

func (f *function) export(ctx context.Context, in *input) (*output, error) {
	id := auth.From(ctx)
	serve.Note(ctx, "by", id.Subject, "contact", in.ID)
	out := &output{}
	out.Body.ContactID = in.ID
	err := pg.InTenant(ctx, f.db, id.Tenant, func(tx pgx.Tx) error {
		portals, err := portals(ctx, tx, in.ID, in.PortalID)
		if err != nil {
			return err
		}
		out.Body.Contacts = make([]Held, len(portals))
		for i, portal := range portals {
			if out.Body.Contacts[i], err = held(ctx, tx, portal, in.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(out.Body.Contacts) == 0 {
		return nil, fault.NotFoundf("nothing is held of a contact with this id")
	}
	return out, nil
}
