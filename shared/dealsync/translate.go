package dealsync

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/money"
)

// amount returns the deal's amount in the tenant's currency, or why it cannot be
// used.
func amount(deal hubspot.Deal, home money.Currency) (*money.Amount, *string) {
	if deal.Amount.Raw == "" && deal.HomeAmount.Raw == "" {
		return nil, nil
	}
	value, ok := deal.AmountIn(home)
	var issue string
	switch {
	case !ok:
		issue = fmt.Sprintf("the amount is in %s and HubSpot gives no amount in %s", orUnknown(string(deal.Amount.Currency)), home)
	case value < 0:
		issue = "the amount is negative"
	case value > money.Max:
		issue = "the amount is too large"
	default:
		return &value, nil
	}
	return nil, &issue
}

func orUnknown(currency string) string {
	if currency == "" {
		return "an unknown currency"
	}
	return currency
}

// known returns the deal's contacts in their order with all that a click may
// carry as well. A contact that was deleted is not among them.
func known(deal hubspot.Deal, contacts map[int64]hubspot.Contact) []ledger.Contact {
	var all []ledger.Contact
	for _, id := range first(deal.Contacts, maxContacts) {
		c, ok := contacts[id]
		if !ok || c.ConvertedAt().IsZero() || slices.ContainsFunc(all, func(o ledger.Contact) bool { return o.ID == c.ID }) {
			continue
		}
		all = append(all, recognisable(c))
	}
	return all
}

// recognisable returns the contact with all that it can be recognised by.
func recognisable(c hubspot.Contact) ledger.Contact {
	one := ledger.Contact{ID: c.ID, ConvertedAt: c.ConvertedAt()}
	add := func(kind string, values ...string) {
		for _, v := range values {
			if v = strings.TrimSpace(v); kind == ledger.KeyFacebook {
				v = attribution.FBCLIDOf(v) // a form may store the cookie _fbc where the id belongs
			}
			if v != "" && len(v) <= maxKey && !slices.Contains(one.Keys, ledger.Key{Kind: kind, Value: v}) {
				one.Keys = append(one.Keys, ledger.Key{Kind: kind, Value: v})
			}
		}
	}
	add(ledger.KeyClick, c.ClickIDs...)
	add(ledger.KeyFacebook, c.FacebookClickIDs...)
	add(ledger.KeyGoogle, c.GoogleClickIDs...)
	add(ledger.KeyTikTok, c.TikTokClickIDs...)
	add(ledger.KeyFingerprint, c.FingerprintHashes...)
	for _, id := range c.LeadIDs {
		add(ledger.KeyLead, attribution.LeadIDOf(id))
	}
	add(ledger.KeyEmail, c.EmailHashes...)
	add(ledger.KeyPhone, c.PhoneHashes...)
	if u, err := url.Parse(c.FirstURL); err == nil {
		q := u.Query()
		for parameter, kind := range map[string]string{
			"gv_click_id": ledger.KeyClick, "fbclid": ledger.KeyFacebook, "gclid": ledger.KeyGoogle,
			"gbraid": ledger.KeyGBRAID, "wbraid": ledger.KeyWBRAID, "ttclid": ledger.KeyTikTok,
		} {
			add(kind, q.Get(parameter))
		}
	}
	return one
}

// maxKey is longer than any click id, and short enough for an index.
const maxKey = 1000

func first[T any](s []T, n int) []T { return s[:min(len(s), n)] }
