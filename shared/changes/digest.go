package changes

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/geminivideo/geminivideo/shared/money"
)

// plan is what an approval binds: which object is led from what to what, for
// whom, and on whose word. Its JSON, with keys in the order of the fields, is the
// canonical form.
type plan struct {
	TenantID     string           `json:"tenant_id"`
	ChangeID     string           `json:"change_id"`
	AccountID    string           `json:"account_id"`
	CampaignID   string           `json:"campaign_id"`
	BudgetObject string           `json:"budget_object"`
	Kind         Kind             `json:"kind"`
	Currency     string           `json:"currency"`
	From         *int64           `json:"from_minor"`
	To           *int64           `json:"to_minor"`
	Status       string           `json:"status"`
	Splits       map[string]int64 `json:"splits"`
	Source       Source           `json:"source"`
	By           string           `json:"by"`
}

// Digest is the SHA-256 of the plan: what the change would do now. It is another
// one as soon as the plan, or the amount that it starts from, is.
func (c *Change) Digest() []byte {
	data, err := json.Marshal(plan{
		c.TenantID, c.ChangeID, c.AccountID, c.CampaignID, c.BudgetObject, c.Kind, string(c.Currency),
		c.BeforeMinor, c.TargetMinor, c.TargetStatus, c.Splits, c.Source, c.RequestedBy,
	})
	if err != nil {
		panic(err) // a struct of texts and numbers
	}
	sum := sha256.Sum256(data)
	return sum[:]
}

// DigestText is the digest as the API writes it.
func (c *Change) DigestText() string { return hex.EncodeToString(c.Digest()) }

// startingFrom returns the change with the amount that the object is known to have
// now; after its first step a change keeps what it began with.
func (c Change) startingFrom(known *int64) Change {
	if c.Kind != KindStatus && c.Steps == 0 && known != nil {
		c.BeforeMinor = known
	}
	return c
}

// wants writes an amount or a status for people.
func (c *Change) wants(minor *int64, status string) string {
	switch {
	case c.Kind == KindStatus:
		return status
	case minor == nil:
		return "what it has"
	case c.Kind == KindLimits && *minor == NoLimits:
		return "no limits"
	}
	return money.Amount(*minor).Format(c.Currency)
}
