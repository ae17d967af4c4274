package sim

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/geminivideo/geminivideo/shared/money"
)

// WriteCSV writes the ads' days as Meta Ads Manager exports them, with a column
// for the creative DNA besides.
func (w *World) WriteCSV(out io.Writer, currency money.Currency) error {
	money := func(a money.Amount) string {
		return strconv.FormatFloat(a.Units(currency), 'f', currency.Decimals(), 64)
	}
	names := make(map[string]string, len(w.Campaigns))
	for _, c := range w.Campaigns {
		names[c.ID] = c.Name
	}
	table := csv.NewWriter(out)
	rows := [][]string{{
		"Campaign name", "Campaign ID", "Ad set ID", "Ad name", "Ad ID", "Day", "Ad delivery",
		"Ad set budget", "Ad set budget type", "Date created", "Impressions", "Reach", "Frequency", "Clicks (all)",
		fmt.Sprintf("Amount spent (%s)", currency), "creative_dna",
	}}
	for _, ad := range w.Ads {
		dna, err := json.Marshal(ad.DNA)
		if err != nil {
			return err
		}
		delivery := "active"
		if !ad.Active {
			delivery = "inactive"
		}
		for _, day := range ad.Days {
			rows = append(rows, []string{
				names[ad.CampaignID], ad.CampaignID, ad.AdsetID, ad.Name, ad.ID, day.Date.Format(time.DateOnly), delivery,
				money(ad.DailyBudget), "Daily", ad.Days[0].Date.UTC().Format(time.RFC3339),
				strconv.FormatInt(day.Impressions, 10), strconv.FormatInt(day.Reach, 10),
				strconv.FormatFloat(day.Frequency, 'f', 6, 64), strconv.FormatInt(day.Clicks, 10), money(day.Spend), string(dna),
			})
		}
	}
	return table.WriteAll(rows)
}
