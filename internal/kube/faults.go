package kube

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
)

// Faults logs what stands in the way of a duty without repeating itself. It is
// safe for concurrent use; its fields are not to be changed.
type Faults struct {
	Log  *slog.Logger // required
	Duty string       // what cannot be done, as in "keep the registration"; required

	mu   sync.Mutex
	last string
}

// Note takes how the last try ended: an error that is not the one before is
// logged, and so is the first success after one.
func (f *Faults) Note(ctx context.Context, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	// A connection's words hold a port of ours that is another each time.
	same := text
	var op *net.OpError
	if errors.As(err, &op) && op.Source != nil {
		same = strings.ReplaceAll(text, op.Source.String(), "")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case same == f.last:
	case err == nil:
		f.Log.InfoContext(ctx, "can "+f.Duty+" again")
	default:
		f.Log.ErrorContext(ctx, "cannot "+f.Duty, "error", text)
	}
	f.last = same
}
