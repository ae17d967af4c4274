// Package winners is the memory of winning creatives: it keeps one row per ad
// and embedding model in Postgres and finds the ones like a text.
package winners

import (
	"crypto/sha256"
	"encoding/json"
	"time"

	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/embed"
)

// Memory is what the winner memory stores of an ad.
type Memory struct {
	AdID   string
	Model  string
	Vector embed.Vector
	Text   string // what was embedded
	DNA    creative.DNA
	Data   creative.DNA // whatever else the caller said of the ad
	ROAS   float64      // pipeline value over spend
	CTR    float64      // 0 to 1
	Active bool         // whether a search finds it
}

// Outcome is what Put did.
type Outcome int

// The outcomes of Put.
const (
	Indexed Outcome = iota // it is found now and was not before, or not like this
	Already                // it was stored like this; its figures are up to date
)

// Winner is a stored ad.
type Winner struct {
	AdID      string
	Model     string
	DNA       json.RawMessage `db:"creative_dna"`
	Data      json.RawMessage `db:"ad_data"`
	ROAS      float64         `db:"pipeline_roas"`
	CTR       float64
	Active    bool
	IndexedAt time.Time
	UpdatedAt time.Time
}

// Match is a stored winner with how alike it is, from 0 to 1.
type Match struct {
	AdID       string
	Similarity float64
	DNA        json.RawMessage `db:"creative_dna"`
	ROAS       float64         `db:"pipeline_roas"`
	CTR        float64
}

// Stats counts the winners that are stored with a model.
type Stats struct {
	Active     int64 // found by a search: they have codes
	Stored     int64 // and those that wait to be winners again
	IndexBytes int64 // the tenant's share of the table of codes, by its number of vectors
}

// TextOf returns what is embedded of an ad: its DNA, or, where it has none, its
// name, in which media buyers write what an ad is made of.
func TextOf(dna creative.DNA, name string) string {
	if text := dna.Text(); text != "" || name == "" {
		return text
	}
	return creative.DNA{"name": name}.Text()
}

// hash names a content: what was embedded, by which model.
func hash(model, text string) []byte {
	sum := sha256.Sum256([]byte(model + "\x00" + text))
	return sum[:]
}
