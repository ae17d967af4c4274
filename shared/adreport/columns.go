package adreport

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
)

// field is what a column stands for.
type field int

const (
	adID field = iota
	adName
	adsetID
	campaignID
	campaignName
	accountID
	day
	starts
	ends
	impressions
	clicks
	spend
	reach
	frequency
	leads
	conversions
	results
	resultKind
	pipeline
	revenue
	status
	delivery
	dailyBudget
	adsetBudget
	adsetBudgetKind
	campaignBudget
	campaignBudgetKind
	creativeDNA
	createdAt
	ageHours
	ageDays
	currency
	numFields
)

// fields lists, for every field, our name for it and the header names that mean
// it, in order of preference, as plain writes them. A file with both all clicks
// and link clicks is read by all clicks, as Meta's own ctr is.
var fields = [numFields]struct {
	name    string
	aliases []string
	money   bool
}{
	adID:               {name: "ad_id", aliases: []string{"adid", "adidentifier", "id"}},
	adName:             {name: "name", aliases: []string{"adname", "name", "ad"}},
	adsetID:            {name: "adset_id", aliases: []string{"adsetid", "adgroupid"}},
	campaignID:         {name: "campaign_id", aliases: []string{"campaignid", "xyzcampaignid", "fbcampaignid"}},
	campaignName:       {name: "campaign_name", aliases: []string{"campaignname", "campaign"}},
	accountID:          {name: "account_id", aliases: []string{"accountid", "adaccountid"}},
	day:                {name: "day", aliases: []string{"day", "date", "reportdate"}},
	starts:             {name: "reporting_starts", aliases: []string{"reportingstarts", "datestart"}},
	ends:               {name: "reporting_ends", aliases: []string{"reportingends", "datestop", "dateend"}},
	impressions:        {name: "impressions", aliases: []string{"impressions", "impr"}},
	clicks:             {name: "clicks", aliases: []string{"clicksall", "clicks", "linkclicks", "inlinelinkclicks", "outboundclicks"}},
	spend:              {name: "spend", aliases: []string{"amountspent", "spend", "spent", "adspend", "cost"}, money: true},
	reach:              {name: "reach", aliases: []string{"reach"}},
	frequency:          {name: "frequency", aliases: []string{"frequency"}},
	leads:              {name: "leads", aliases: []string{"leads", "totalconversion", "totalconversions", "leadsform", "websiteleads", "metaleads"}},
	conversions:        {name: "conversions", aliases: []string{"approvedconversion", "approvedconversions", "conversions", "purchases", "websitepurchases", "metapurchases"}},
	results:            {name: "results", aliases: []string{"results"}},
	resultKind:         {name: "result_indicator", aliases: []string{"resultindicator", "resulttype"}},
	pipeline:           {name: "pipeline_value", aliases: []string{"pipelinevalue", "pipeline"}, money: true},
	revenue:            {name: "revenue", aliases: []string{"revenue", "cashrevenue", "purchasesconversionvalue", "purchaseconversionvalue", "websitepurchasesconversionvalue", "conversionvalue"}, money: true},
	status:             {name: "status", aliases: []string{"status"}},
	delivery:           {name: "ad_delivery", aliases: []string{"addelivery", "adstatus", "delivery", "deliverystatus", "effectivestatus"}},
	dailyBudget:        {name: "daily_budget", aliases: []string{"dailybudget", "addailybudget", "currentbudget"}, money: true},
	adsetBudget:        {name: "adset_budget", aliases: []string{"adsetbudget"}, money: true},
	adsetBudgetKind:    {name: "adset_budget_type", aliases: []string{"adsetbudgettype"}},
	campaignBudget:     {name: "campaign_budget", aliases: []string{"campaignbudget"}, money: true},
	campaignBudgetKind: {name: "campaign_budget_type", aliases: []string{"campaignbudgettype"}},
	creativeDNA:        {name: "creative_dna", aliases: []string{"creativedna", "dna"}},
	createdAt:          {name: "created_at", aliases: []string{"createdat", "createdtime", "datecreated", "created"}},
	ageHours:           {name: "age_hours", aliases: []string{"agehours"}},
	ageDays:            {name: "age_days", aliases: []string{"agedays"}},
	currency:           {name: "currency", aliases: []string{"currency", "currencycode", "accountcurrency"}},
}

// breakdowns are columns by which a report splits one ad's figures over several
// rows, which then add up.
var breakdowns = []string{
	"age", "gender", "interest", "country", "region", "dmaregion", "platform", "publisherplatform", "placement",
	"platformposition", "deviceplatform", "impressiondevice", "device", "hour", "timeofday",
	"timeofdayadaccounttimezone", "timeofdayviewertimezone", "reportingstarts", "datestart", "reportingends", "datestop", "dateend",
}

// columns says where in a record each field stands.
type columns struct {
	header    []string
	at        [numFields]int // -1 where the file has no such column
	breakdown []int
	ignored   []string
	currency  money.Currency
	// manager is whether this is an Ads Manager export, which leaves cells empty
	// that mean zero and adds a summary row.
	manager bool
}

// match finds the fields in the header.
func match(header record) (columns, error) {
	c := columns{header: header.cells}
	names := make([]string, len(c.header))
	codes := make([]money.Currency, len(c.header))
	for i, h := range c.header {
		names[i], codes[i] = plain(h)
	}
	used := make([]bool, len(names))
	for f := range numFields {
		c.at[f] = -1
		for _, alias := range fields[f].aliases {
			if i := slices.Index(names, alias); i >= 0 {
				if j := slices.Index(names[i+1:], alias); j >= 0 {
					return c, fault.Field("body.file", fmt.Sprintf("has two columns for %s (columns %d and %d): which one counts?", fields[f].name, i+1, i+j+2))
				}
				c.at[f], used[i] = i, true
				break
			}
		}
		if i := c.at[f]; i >= 0 && fields[f].money && codes[i] != "" {
			if c.currency != "" && c.currency != codes[i] {
				return c, fault.Field("body.file", fmt.Sprintf("has money in two currencies: %s and %s", c.currency, codes[i]))
			}
			c.currency = codes[i]
		}
	}
	for i, name := range names {
		if slices.Contains(breakdowns, name) {
			c.breakdown = append(c.breakdown, i)
			used[i] = true
		}
		if !used[i] && c.header[i] != "" {
			c.ignored = append(c.ignored, c.header[i])
		}
	}
	c.manager = c.at[starts] >= 0 || c.at[spend] >= 0 && strings.HasPrefix(names[c.at[spend]], "amountspent")
	return c, c.missing()
}

// required are the columns without which a row says nothing.
var required = []struct {
	field field
	words string
}{
	{adID, "ad_id (in Ads Manager: Ad ID, under Customise columns)"},
	{impressions, "impressions"},
	{clicks, "clicks (Clicks (all) or Link clicks)"},
	{spend, "spend (Amount spent)"},
}

// missing names at once all that is missing, and what was found.
func (c columns) missing() error {
	var words []string
	for _, need := range required {
		if c.at[need.field] < 0 {
			words = append(words, need.words)
		}
	}
	if len(words) == 0 {
		return nil
	}
	found := make([]string, 0, 30)
	for _, h := range c.header {
		if len(found) == cap(found) {
			found = append(found, "...")
			break
		}
		if h != "" {
			found = append(found, shorten(h, 40))
		}
	}
	return fault.Field("body.file", fmt.Sprintf("has no column for %s. Its first line reads: %s", strings.Join(words, ", "), strings.Join(found, ", ")))
}

func (c columns) understood() map[string]string {
	m := map[string]string{}
	for f, i := range c.at {
		if i >= 0 {
			m[fields[f].name] = c.header[i]
		}
	}
	return m
}

var summaryText = regexp.MustCompile(`(?i)^(grand )?totals?$|^summary$|^results from \d+ ads?$`)

// summary reports whether rec is the sum over the others, rather than a row
// whose ad id is missing.
func (c columns) summary(rec *record) bool {
	if id := rec.cell(c.at[adID]); id != "" && id[0] <= '9' {
		return false
	}
	blank := true
	for _, f := range []field{adID, adName, campaignName, campaignID} {
		cell := rec.cell(c.at[f])
		if summaryText.MatchString(cell) && (f == adID || rec.cell(c.at[adID]) == "") {
			return true
		}
		blank = blank && cell == ""
	}
	return blank && c.manager && rec.wrong == ""
}

var trailingCode = regexp.MustCompile(`[\[(]\s*([A-Za-z]{3})\s*[\])]$`)

// plain returns a header's name without case, spacing and punctuation, and the
// currency that it names: "Amount spent (USD)" is amountspent, USD.
func plain(header string) (name string, code money.Currency) {
	header = strings.TrimSpace(header)
	if m := trailingCode.FindStringSubmatchIndex(header); m != nil {
		if c := money.Currency(strings.ToUpper(header[m[2]:m[3]])); known(c) {
			return letters(header[:m[0]]), c
		}
	}
	name = letters(header)
	if len(name) > 3 { // spend_usd
		c := money.Currency(strings.ToUpper(name[len(name)-3:]))
		if rest := name[:len(name)-3]; known(c) && slices.ContainsFunc(fields[:], func(f struct {
			name    string
			aliases []string
			money   bool
		},
		) bool {
			return f.money && slices.Contains(f.aliases, rest)
		}) {
			return rest, c
		}
	}
	return name, ""
}

func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

func shorten(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n]) + "..."
	}
	return s
}
