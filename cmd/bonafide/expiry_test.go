package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestExpiryIsSaidOnce: a certificate that nobody renews is in the log a day
// before it ends and when it has, each once.
func TestExpiryIsSaidOnce(t *testing.T) {
	until := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	var log bytes.Buffer
	e := expiry{log: slog.New(slog.NewJSONHandler(&log, nil))}
	for _, look := range []struct {
		until time.Time
		at    time.Duration // before until
	}{
		{until, 25 * time.Hour},
		{until, 24 * time.Hour},
		{until, time.Hour},
		{until, 0},
		{until, -time.Hour},
		{until.AddDate(0, 3, 0), -2 * time.Hour},
		{until.AddDate(0, 3, 0), -3 * time.Hour},
	} {
		e.look(t.Context(), look.until, until.Add(-look.at))
	}
	var got []string
	for line := range strings.Lines(log.String()) {
		var entry struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		words := strings.Fields(entry.Msg)
		got = append(got, entry.Level+": … "+strings.Join(words[5:7], " "))
	}
	want := []string{"WARN: … ends within", "ERROR: … has expired:", "INFO: … was renewed"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}
