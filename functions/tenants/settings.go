package tenants

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/geminivideo/geminivideo/shared/accounts"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
)

// optional is a member of a body that may be left out, which changes nothing, or
// be null, which goes back to the default.
type optional[T any] struct {
	given bool
	value *T
}

// UnmarshalJSON notes that the member was there.
func (o *optional[T]) UnmarshalJSON(data []byte) error {
	o.given = true
	return json.Unmarshal(data, &o.value)
}

// Schema is T's, or null.
func (optional[T]) Schema(r huma.Registry) *huma.Schema {
	s := huma.SchemaFromType(r, reflect.TypeFor[T]())
	s.Nullable = true
	return s
}

// apply puts what was given into *to, and value for null.
func (o optional[T]) apply(to *T, null T) {
	if !o.given {
		return
	}
	*to = null
	if o.value != nil {
		*to = *o.value
	}
}

// SettingsInput holds the members of PUT /api/accounts/{id} that say how figures
// are valued and judged.
type SettingsInput struct {
	ConversionValue    optional[float64] `json:"conversion_value,omitempty" minimum:"0" maximum:"1e9" doc:"What a conversion without a value of its own is worth, in units of the account's currency; null: nothing. It is an estimate: never revenue, and no ad is a winner by it."`
	BreakEven          optional[float64] `json:"break_even,omitempty" exclusiveMinimum:"0" maximum:"1e6" doc:"The pipeline ROAS at which a sale pays for its ad; null: 1. It replaces a margin that was set before."`
	Margin             optional[float64] `json:"margin,omitempty" exclusiveMinimum:"0" maximum:"1" doc:"Instead of break_even: the share of a sale that is left after its own costs; break_even is 1/margin."`
	AttributionModel   optional[string]  `json:"attribution_model,omitempty" enum:"last,first,position" doc:"Which of a contact's clicks get a deal's credit; null: last."`
	ClickRetentionDays optional[int]     `json:"click_retention_days,omitempty" minimum:"8" maximum:"400" doc:"Days after which a click that no deal is credited to is deleted; null: 90."`
	LeadProperty       optional[string]  `json:"lead_property,omitempty" maxLength:"100" pattern:"^([a-z][a-z0-9_]*)?$" patternDescription:"a HubSpot property's internal name, such as meta_lead_id" doc:"The contact property that holds a Meta lead's id; null or empty: none."`
	WriteBack          optional[bool]    `json:"write_back,omitempty" doc:"true writes the credited ad into the CRM's deals; null: false."`
	VerdictSpend       optional[float64] `json:"verdict_spend,omitempty" minimum:"0" maximum:"1e9" doc:"Units of the account's currency spent before an ad is judged; null: the sampler's own."`
	GeminiDailyCap     optional[float64] `json:"gemini_daily_cap_usd,omitempty" minimum:"0" maximum:"1e6" doc:"USD that your organisation may spend on Gemini in a day (UTC); the lowest of its accounts' counts; null: the system's own."`

	Settings map[string]any `json:"settings,omitempty" doc:"cross_learning (1: the account takes part in the prior of its niche), winner_roas (pipeline ROAS above which an ad is a winner), winner_spend (units spent before it can be one), verdict_spend, gemini_daily_cap_usd: numbers, or null for the default. What is not named stays."`
}

// SettingsShown is what SettingsInput set, as it is shown.
type SettingsShown struct {
	ConversionValue    *float64 `json:"conversion_value" doc:"null where nobody said: a conversion without a value is then worth nothing."`
	BreakEven          *float64 `json:"break_even" doc:"null where nobody said: it is then 1/margin, or 1."`
	Margin             *float64 `json:"margin"`
	AttributionModel   string   `json:"attribution_model" enum:"last,first,position"`
	ClickRetentionDays int      `json:"click_retention_days"`
	LeadProperty       string   `json:"lead_property"`
	WriteBack          bool     `json:"write_back"`
	VerdictSpend       *float64 `json:"verdict_spend"`
	GeminiDailyCap     *float64 `json:"gemini_daily_cap_usd"`

	Settings map[string]float64 `json:"settings" nullable:"false" doc:"What the tenant has set of cross_learning, gemini_daily_cap_usd, verdict_spend, winner_roas and winner_spend."`
}

func shownSettings(a accounts.Account) SettingsShown {
	out := SettingsShown{
		BreakEven: a.BreakEven, Margin: a.Margin, AttributionModel: a.AttributionModel, ClickRetentionDays: a.ClickRetentionDays,
		LeadProperty: a.LeadProperty, WriteBack: a.WriteBack, Settings: map[string]float64{},
	}
	if a.ConversionValue != nil {
		units := a.ConversionValue.Units(a.Currency)
		out.ConversionValue = &units
	}
	for _, s := range accounts.Settings {
		if value, set := a.Threshold(s.Name); set {
			out.Settings[s.Name] = value
		}
	}
	for name, field := range map[string]**float64{"verdict_spend": &out.VerdictSpend, "gemini_daily_cap_usd": &out.GeminiDailyCap} {
		if value, set := out.Settings[name]; set {
			*field = &value
		}
	}
	return out
}

// thresholds checks the thresholds and returns those that are given as they are
// stored: by their own members, or in settings.
func (in SettingsInput) thresholds() (map[string]json.RawMessage, error) {
	set := map[string]json.RawMessage{}
	for _, name := range slices.Sorted(maps.Keys(in.Settings)) {
		i := slices.IndexFunc(accounts.Settings, func(s accounts.Setting) bool { return s.Name == name })
		if i < 0 {
			return nil, fault.Field("body.settings", "holds a setting that is not known here; there are "+settingNames())
		}
		if in.Settings[name] == nil {
			set[name] = json.RawMessage("null")
			continue
		}
		rule := accounts.Settings[i]
		value, ok := in.Settings[name].(float64)
		if !ok || value < rule.Min || value > rule.Max {
			return nil, fault.Field("body.settings."+name, "must be a number from "+number(rule.Min)+" to "+number(rule.Max)+", or null")
		}
		set[name] = json.RawMessage(number(value))
	}
	for name, own := range map[string]optional[float64]{"verdict_spend": in.VerdictSpend, "gemini_daily_cap_usd": in.GeminiDailyCap} {
		if !own.given {
			continue
		}
		if _, twice := set[name]; twice {
			return nil, fault.Field("body.settings."+name, "is given a second time: body."+name+" says it already")
		}
		set[name] = json.RawMessage("null")
		if own.value != nil {
			set[name] = json.RawMessage(number(*own.value))
		}
	}
	return set, nil
}

func number(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

func settingNames() string {
	names := make([]string, len(accounts.Settings))
	for i, s := range accounts.Settings {
		names[i] = s.Name
	}
	return strings.Join(names, ", ")
}

// apply puts what is given into a, whose currency was before until this request.
func (in SettingsInput) apply(a *accounts.Account, before money.Currency) error {
	in.AttributionModel.apply(&a.AttributionModel, accounts.LastClick)
	in.ClickRetentionDays.apply(&a.ClickRetentionDays, accounts.DefaultClickRetention)
	in.LeadProperty.apply(&a.LeadProperty, "")
	in.WriteBack.apply(&a.WriteBack, false)
	if in.BreakEven.value != nil && in.Margin.value != nil {
		return fault.Field("body.margin", "must not be given beside break_even: break_even is 1/margin")
	}
	if in.BreakEven.given {
		a.BreakEven = in.BreakEven.value
	}
	if in.Margin.given {
		a.Margin = in.Margin.value
	}
	if in.BreakEven.value != nil { // which of the two was given last counts
		a.Margin = nil
	}
	if in.Margin.value != nil {
		a.BreakEven = nil
	}
	if in.VerdictSpend.value != nil {
		if _, err := exact("body.verdict_spend", *in.VerdictSpend.value, a.Currency); err != nil {
			return err
		}
	}
	switch {
	case in.ConversionValue.value != nil:
		worth, err := exact("body.conversion_value", *in.ConversionValue.value, a.Currency)
		if err != nil {
			return err
		}
		a.ConversionValue = &worth
	case in.ConversionValue.given:
		a.ConversionValue = nil
	case a.ConversionValue != nil && a.Currency != before:
		return fault.Field("body.conversion_value", fmt.Sprintf("is needed with another currency: the account has one in %s", before))
	}
	return nil
}

// exact takes an amount that somebody wrote down, without rounding it.
func exact(field string, units float64, c money.Currency) (money.Amount, error) {
	amount, err := money.Exact(units, c)
	if errors.Is(err, money.ErrDecimals) {
		return 0, fault.Field(field, fmt.Sprintf("must have at most %d decimals: it is in %s", c.Decimals(), c))
	}
	if err != nil {
		return 0, fault.Field(field, err.Error())
	}
	return amount, nil
}
