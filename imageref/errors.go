package imageref

import "errors"

// The classes of malformed input. Every error of this package wraps one.
var (
	ErrReference = errors.New("malformed image reference")
	ErrDigest    = errors.New("malformed digest")
	ErrPattern   = errors.New("malformed image pattern")
	ErrAlias     = errors.New("malformed registry alias")
)

// constant is a string that only a constant of the caller's source converts to
// without a word, so that Must… functions cannot be handed input.
type constant string

// maxQuoted bounds what an error repeats of its input, which may be hostile.
const maxQuoted = 300

func clip(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	return s[:maxQuoted] + "…"
}
