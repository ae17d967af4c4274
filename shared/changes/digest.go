package changes

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// plan is what an approval binds: which object changes from what to what, for which
// ads, and who asked. Its JSON, with keys in the order of the fields, is hashed.
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

// Digest is the SHA-256 of the plan. It differs as soon as the plan differs, or the
// amount that it starts from.
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
