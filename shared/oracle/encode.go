package oracle

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Algorithm names this way of learning; a model of another one is trained anew.
const Algorithm = 5

// Fingerprint names the data that a model of account is trained on, and how: the
// same ads, in any order, with the same half-life and change of taste have the same.
func Fingerprint(account string, past []Past, halfLife float64, since time.Time) string {
	lines := make([][sha256.Size]byte, len(past))
	for i, p := range past {
		h := sha256.New()
		of := []any{
			p.AccountID, p.AdID, p.Impressions, p.Clicks, amount(p.Spend), amount(p.Value), json.RawMessage(p.DNA.JSON()), p.Vector,
			math.Round(100 * p.Immature), p.Created.Unix(),
		}
		if p.Pooled != nil {
			of = append(of, p.Pooled)
		}
		_ = json.NewEncoder(h).Encode(of)
		lines[i] = [sha256.Size]byte(h.Sum(nil))
	}
	slices.SortFunc(lines, func(a, b [sha256.Size]byte) int { return bytes.Compare(a[:], b[:]) })
	all := sha256.New()
	fmt.Fprintf(all, "%d %q %g %d\n", Algorithm, account, halfLife, since.Unix())
	for _, line := range lines {
		all.Write(line[:])
	}
	return hex.EncodeToString(all.Sum(nil)[:8])
}

// encode returns the model for Decode, but for its metrics.
func (m Model) encode() ([]byte, error) {
	m.Metrics = Metrics{}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := gob.NewEncoder(z).Encode(m); err != nil {
		return nil, fmt.Errorf("encode a model: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("encode a model: %w", err)
	}
	return b.Bytes(), nil
}

// decode reads what encode wrote.
func decode(data []byte) (Model, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return Model{}, fmt.Errorf("decode a model: %w", err)
	}
	m := Model{}
	if err := gob.NewDecoder(z).Decode(&m); err != nil {
		return Model{}, fmt.Errorf("decode a model: %w", err)
	}
	if m.Columns == nil || len(m.CTR.Effects) != m.Columns.size() || len(m.ROAS.Effects) != m.Columns.size() ||
		m.Earning.Known && len(m.Earning.Worth.Effects) != m.Columns.size() {
		return Model{}, fmt.Errorf("decode a model: %w", errors.New("it is damaged"))
	}
	m.Columns.index()
	return m, nil
}
