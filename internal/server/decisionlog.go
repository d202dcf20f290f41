package server

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// Bounds on the line about one image.
const (
	maxLogPolicies = 8 // that are named
	maxLogFindings = 8 // that are repeated; the metrics count all
)

// logged is what is logged of a decision about one image, at every door alike.
type logged struct {
	decision engine.ImageDecision
	outcome  policy.Outcome // as the door sees it
	reason   evidence.Reason
	refused  []string // what the caller is told, if it is refused
}

// decisionLog writes one line for each image of a request. It writes nothing
// where nobody reads, and costs next to nothing there.
type decisionLog struct {
	log    *slog.Logger // nil: nobody reads
	shared []slog.Attr  // of the request
	at     time.Time
	took   time.Duration
}

// decisions returns the log of a request's decisions. request is called only if
// they are logged.
func (s *Server) decisions(ctx context.Context, started time.Time, request func() []slog.Attr) decisionLog {
	if !s.log.Enabled(ctx, slog.LevelInfo) {
		return decisionLog{}
	}
	now := s.options.Now()
	return decisionLog{log: s.log, shared: request(), at: now, took: now.Sub(started)}
}

func (l decisionLog) write(ctx context.Context, d logged) {
	if l.log == nil {
		return
	}
	attributes := slices.Grow(slices.Clip(l.shared), 9)
	if d.decision.Image.Name != "" {
		attributes = append(attributes, slog.String("container", clip(d.decision.Image.Name, maxName)))
	}
	attributes = append(attributes,
		slog.String("image", clip(d.decision.Image.Ref, maxLine)), slog.String("digest", d.decision.Digest.String()),
		slog.String("outcome", d.outcome.String()), slog.String("reason", string(d.reason)), slog.String("policy", policyNames(d.decision)),
		slog.Float64("ms", float64(l.took.Microseconds())/1000), slog.String("cache", cacheWord(d.decision)),
	)
	if findings := findings(d); len(findings) > 0 {
		attributes = append(attributes, slog.Any("findings", findings))
	}
	// Not LogAttrs, which looks for the caller's line and for the time.
	line := slog.NewRecord(l.at, slog.LevelInfo, "image "+d.outcome.String(), 0)
	line.AddAttrs(attributes...)
	if err := l.log.Handler().Handle(ctx, line); err != nil {
		return // as slog does: there is nowhere to say so
	}
}

// policyNames names the policies that apply.
func policyNames(d engine.ImageDecision) string {
	if len(d.Policies) == 1 {
		return d.Policies[0].Origin.String()
	}
	var b strings.Builder
	for i, p := range d.Policies {
		if i > 0 {
			b.WriteByte(',')
		}
		if i == maxLogPolicies {
			b.WriteString("and " + strconv.Itoa(len(d.Policies)-i) + " more")
			break
		}
		b.WriteString(p.Origin.String())
	}
	return b.String()
}

// findings are what the policies that do not allow say, those that only report
// included.
func findings(d logged) []string {
	lines := d.refused
	for _, p := range d.decision.Policies {
		if p.Outcome != policy.Allowed && p.Effective != policy.Denied && p.Effective != policy.Undecided {
			lines = append(slices.Clip(lines), policyLine(d.decision, p))
		}
	}
	if len(lines) > maxLogFindings {
		return append(slices.Clip(lines[:maxLogFindings]), "and "+strconv.Itoa(len(lines)-maxLogFindings)+" more")
	}
	return lines
}

// cacheWord says whether evidence was looked for or verified to decide the
// image ("miss"), or what was remembered was enough ("hit"). Empty: no policy
// asked.
func cacheWord(d engine.ImageDecision) string {
	if len(d.Policies) == 0 {
		return ""
	}
	for _, step := range d.Steps {
		switch step.Name {
		case "gather", "extend", "verify", "statements", "embedded", "artifacts":
			return "miss"
		}
	}
	return "hit"
}
