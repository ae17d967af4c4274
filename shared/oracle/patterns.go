package oracle

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/creative"
)

// Pattern is what the account's learning cycle has found of a value of the creative DNA.
// It is found in the very ads that the model learns from, so it moves no number of a
// prediction (the same ads would count twice): it says in words what of the creative the
// account already knows, tested one by one and with a bounded share of false ones, where
// the model weighs all features at once.
type Pattern struct {
	Metric, Feature, Value string  // metric is "ctr" or "value"
	Lift, Low, High        float64 // 0.3 is 30% more than other ads; its 95% interval
	With, Without          int     // ads that have the value, and that do not
}

// mostPatterns is how many patterns a reason names.
const mostPatterns = 3

// of reports whether a creative has the pattern's value.
func (p *Pattern) of(features []creative.Feature) bool {
	for _, f := range features {
		switch {
		case f.Name != p.Feature:
		case !f.IsNumber:
			if f.Value == p.Value {
				return true
			}
		default: // "at least 12", or "below 12"
			least, is := strings.CutPrefix(p.Value, "at least ")
			below, under := strings.CutPrefix(p.Value, "below ")
			if bound, err := strconv.ParseFloat(least, 64); is && err == nil && f.Number >= bound {
				return true
			}
			if bound, err := strconv.ParseFloat(below, 64); under && err == nil && f.Number < bound {
				return true
			}
		}
	}
	return false
}

func (p *Pattern) String() string {
	verb, what := "raises", "clicks"
	if p.Lift < 0 {
		verb = "lowers"
	}
	if p.Metric == "value" {
		what = "pipeline value an impression"
	}
	low, high := math.Abs(p.Low), math.Abs(p.High)
	if p.Low >= 0 || p.High <= 0 {
		low, high = min(low, high), max(low, high)
	} else {
		low, high = p.Low, p.High // it may also be none
	}
	return fmt.Sprintf("%s %s %s %s by %.0f%% (%.0f%% to %.0f%%; %s with it, %d without)",
		p.Feature, p.Value, verb, what, 100*math.Abs(p.Lift), 100*low, 100*high, count(p.With), p.Without)
}

// having returns the account's patterns that a creative has, the strongest first.
func (m Model) having(features []creative.Feature) []Pattern {
	all := []Pattern{}
	for i := range m.Patterns {
		if m.Patterns[i].of(features) && len(all) < mostPatterns {
			all = append(all, m.Patterns[i])
		}
	}
	return all
}

// known returns the account's active patterns, the strongest first.
func (s Store) known(ctx context.Context, account string) ([]Pattern, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   metric, feature, value, lift, lift_low, lift_high, ads_with, ads_without
		FROM     gv.creative_patterns
		WHERE    tenant_id = gv.tenant() AND account_id = $1 AND status = 'active'
		ORDER BY abs(ln(greatest(1 + lift, 1e-6))) DESC, metric, feature, value LIMIT 100`, account)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Pattern])
	if err != nil {
		return nil, fmt.Errorf("read the patterns of account %s: %w", account, err)
	}
	return all, nil
}
