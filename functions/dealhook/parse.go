package dealhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/shared/dealsource"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// deal is a deal as a source sends it.
type deal struct {
	DealID     string   `json:"deal_id"`
	Stage      string   `json:"stage"`
	Amount     *float64 `json:"amount"`
	Currency   string   `json:"currency"`
	OccurredAt string   `json:"occurred_at"`
	Deleted    bool     `json:"deleted"`
	Contact    *contact `json:"contact"`

	at time.Time
}

// contact is whom a deal is with, and what a click may carry too.
type contact struct {
	ID      string `json:"id"`
	FBCLID  string `json:"fbclid"`
	GCLID   string `json:"gclid"`
	ClickID string `json:"click_id"`
	LeadID  string `json:"lead_id"`
}

// identity is what makes two mentions the same contact.
func (c contact) identity() string {
	for _, id := range []string{c.ID, c.LeadID, c.ClickID, c.FBCLID, c.GCLID} {
		if id != "" {
			return id
		}
	}
	return ""
}

func (c contact) keys() []dealsource.Key {
	var keys []dealsource.Key
	for _, k := range []dealsource.Key{
		{Kind: ledger.KeyClick, Value: c.ClickID},
		{Kind: ledger.KeyFacebook, Value: c.FBCLID},
		{Kind: ledger.KeyGoogle, Value: c.GCLID},
		{Kind: ledger.KeyLead, Value: c.LeadID},
	} {
		if k.Value = strings.TrimSpace(k.Value); k.Value != "" {
			keys = append(keys, k)
		}
	}
	return keys
}

const (
	maxDeals = 100
	maxID    = 200
	maxKey   = 1000
	maxMoney = 1e12
)

var currency = regexp.MustCompile(`^[A-Za-z]{3}$`)

// parse reads a batch: every deal of it is good, or none is taken.
func parse(body []byte, now time.Time) ([]deal, error) {
	var batch struct {
		Deals []deal `json:"deals"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(&batch)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			err = nil
		} else {
			return nil, serve.Problem(http.StatusBadRequest, "the body is not one JSON object")
		}
	}
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		return nil, fault.Field("body."+wrong.Field, "must be of another type than "+wrong.Value)
	case err != nil && strings.HasPrefix(err.Error(), "json: unknown field "):
		return nil, fault.Field("body", "has an unknown field: deals, deal_id, stage, amount, currency, occurred_at, deleted and contact are known")
	case err != nil:
		return nil, serve.Problem(http.StatusBadRequest, "the body is not JSON")
	case len(batch.Deals) == 0 || len(batch.Deals) > maxDeals:
		return nil, fault.Field("body.deals", "must hold 1 to 100 deals")
	}
	for i := range batch.Deals {
		field, rule := batch.Deals[i].check(now)
		if rule != "" {
			return nil, fault.Field(fmt.Sprintf("body.deals[%d].%s", i, field), rule)
		}
	}
	return batch.Deals, nil
}

// check returns the rule that the deal breaks, "" where none, and sets its time.
func (d *deal) check(now time.Time) (field, rule string) {
	at, err := time.Parse(time.RFC3339, d.OccurredAt)
	switch {
	case !identifier(d.DealID, maxID):
		return "deal_id", "must be 1 to 200 characters and no e-mail address"
	case !identifier(d.Stage, maxID):
		return "stage", "must be 1 to 200 characters"
	case d.Amount != nil && (math.IsNaN(*d.Amount) || *d.Amount < 0 || *d.Amount > maxMoney):
		return "amount", "must be from 0 to 1,000,000,000,000"
	case d.Currency != "" && !currency.MatchString(d.Currency):
		return "currency", "must be three letters, such as USD"
	case err != nil || at.Year() < 2000 || at.Year() > 9999:
		return "occurred_at", "must be a time such as 2026-11-20T09:00:00Z"
	}
	if at.After(now) { // a clock that is ahead
		at = now
	}
	d.at = at.UTC().Truncate(time.Microsecond)
	if c := d.Contact; c != nil {
		if c.identity() == "" {
			return "contact", "must hold an id, fbclid, gclid, click_id or lead_id"
		}
		for name, value := range map[string]string{
			"id": c.ID, "fbclid": c.FBCLID, "gclid": c.GCLID, "click_id": c.ClickID,
			"lead_id": c.LeadID,
		} {
			if len(value) > maxKey || strings.ContainsRune(value, 0) || name != "id" && strings.Contains(value, "@") {
				return "contact." + name, "must be at most 1,000 bytes and no e-mail address"
			}
		}
	}
	return "", ""
}

// identifier reports a text that may stand in tables and logs.
func identifier(text string, most int) bool {
	return strings.TrimSpace(text) == text && text != "" && len([]rune(text)) <= most && !strings.ContainsAny(text, "@\x00")
}
