// Package leads knows whose page a lead form belongs to and how a lead travels, and
// hashes the addresses that a lead and a contact of the CRM are compared by: neither
// an e-mail address nor a phone number is ever written anywhere.
package leads

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// Kind marks a lead among the messages of the topic crm-events.
const Kind = "lead"

// Lead is a lead as it travels: ids and a time.
type Lead struct {
	Kind      string    `json:"kind"`
	PageID    string    `json:"page_id"`
	LeadID    string    `json:"lead_id"`
	AdID      string    `json:"ad_id,omitempty"`
	FormID    string    `json:"form_id,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

// Message returns the lead as a message's data.
func (l Lead) Message() ([]byte, error) {
	l.Kind = Kind
	return json.Marshal(l)
}

// Key is the lead's key: Meta's signature holds no time, so a replay is known by it.
func (l Lead) Key() string { return "lead/" + l.PageID + "/" + l.LeadID }

// Parse reads a message's data.
func Parse(data []byte) (Lead, error) {
	var l Lead
	if err := json.Unmarshal(data, &l); err != nil || l.Kind != Kind || l.PageID == "" || l.LeadID == "" {
		return l, fault.Invalidf("the message names no page or no lead")
	}
	return l, nil
}

// NewKey makes a tenant's key, as it is stored in Secret Manager.
func NewKey() string {
	var key [32]byte
	_, _ = rand.Read(key[:]) // it never fails: the process ends where there is no randomness
	return base64.StdEncoding.EncodeToString(key[:])
}

// Email returns the HMAC of an e-mail address under key, "" for what is none.
func Email(key, address string) string {
	address = strings.ToLower(strings.TrimSpace(address))
	if name, host, ok := strings.Cut(address, "@"); !ok || name == "" || host == "" {
		return ""
	}
	return hashed(key, "email", address)
}

// minDigits is less than any number has that can be dialled from abroad.
const minDigits = 7

// Phone returns the HMAC of a phone number under key, "" for what is none. Its digits
// count, with the country's code where it is written with one.
func Phone(key, number string) string {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, number)
	if digits = strings.TrimPrefix(digits, "00"); len(digits) < minDigits {
		return ""
	}
	return hashed(key, "phone", digits)
}

func hashed(key, kind, value string) string {
	if key == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(kind + " " + value))
	return hex.EncodeToString(mac.Sum(nil))
}
