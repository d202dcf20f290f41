package evidence

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Reason says in one CamelCase word why something was not proven. Reasons are
// stable: they appear in messages, metrics and reports. docs/reasons.md lists
// them and is generated from [Reasons].
type Reason string

// Reasons that decide against: the facts are known and do not suffice.
const (
	MalformedReference   Reason = "MalformedReference"
	NotSigned            Reason = "NotSigned"
	SignerMismatch       Reason = "SignerMismatch"
	SubjectMismatch      Reason = "SubjectMismatch"
	MalformedEvidence    Reason = "MalformedEvidence"
	UnsupportedEvidence  Reason = "UnsupportedEvidence"
	LogEntryMissing      Reason = "LogEntryMissing"
	LogEntryInvalid      Reason = "LogEntryInvalid"
	TimestampMissing     Reason = "TimestampMissing"
	TimestampInvalid     Reason = "TimestampInvalid"
	SignatureExpired     Reason = "SignatureExpired"
	CertificateInvalid   Reason = "CertificateInvalid"
	CertificateUntrusted Reason = "CertificateUntrusted"
	CertificateRevoked   Reason = "CertificateRevoked"
	IdentityMismatch     Reason = "IdentityMismatch"
	ReferenceMismatch    Reason = "ReferenceMismatch"
	AnnotationMismatch   Reason = "AnnotationMismatch"
	OutOfScope           Reason = "OutOfScope"
	NotEnforced          Reason = "NotEnforced"
	ThresholdNotReached  Reason = "ThresholdNotReached"
	NotAttested          Reason = "NotAttested"
	PlatformMissing      Reason = "PlatformMissing"
	ConditionNotMet      Reason = "ConditionNotMet"
	ConditionFailed      Reason = "ConditionFailed"
	StaticallyDenied     Reason = "StaticallyDenied"
	ImageDenied          Reason = "ImageDenied"
	NotPinned            Reason = "NotPinned"
	UnknownKind          Reason = "UnknownKind"
	MalformedObject      Reason = "MalformedObject"
	NoPolicy             Reason = "NoPolicy"
	RunningImageDiffers  Reason = "RunningImageDiffers"
)

// Reasons that leave it open: it could not be told.
const (
	ImageNotFound        Reason = "ImageNotFound"
	RegistryUnauthorized Reason = "RegistryUnauthorized"
	RegistryUnreachable  Reason = "RegistryUnreachable"
	RegistryTLS          Reason = "RegistryTLS"
	RegistryRateLimited  Reason = "RegistryRateLimited"
	RegistryUnavailable  Reason = "RegistryUnavailable"
	RegistryTimeout      Reason = "RegistryTimeout"
	RegistryProtocol     Reason = "RegistryProtocol"
	RegistryRefused      Reason = "RegistryRefused"
	DigestMismatch       Reason = "DigestMismatch"
	MalformedManifest    Reason = "MalformedManifest"
	LimitExceeded        Reason = "LimitExceeded"
	CredentialsFailed    Reason = "CredentialsFailed"
	RevocationUnknown    Reason = "RevocationUnknown"
	PluginFailed         Reason = "PluginFailed"
	TrustRootUnavailable Reason = "TrustRootUnavailable"
	KeyUnavailable       Reason = "KeyUnavailable"
	SelectionFailed      Reason = "SelectionFailed"
	PolicyNotReady       Reason = "PolicyNotReady"
	DeadlineExceeded     Reason = "DeadlineExceeded"
	Cancelled            Reason = "Cancelled"
	Internal             Reason = "Internal"
	unclassified                = Internal
)

// ReasonInfo describes a Reason for people.
type ReasonInfo struct {
	Reason    Reason
	Undecided bool   // it could not be told, rather than decided against
	Transient bool   // an outage that `onUndecided: Allow` may cover (TRUST R41)
	Meaning   string // one sentence
	Remedy    string // what to try, shown as a hint by the command line
}

// Undecided reports whether the reason means "could not tell". A reason that
// is not in the vocabulary does (TRUST R48).
func (r Reason) Undecided() bool {
	info, known := lookupReason(r)
	return !known || info.Undecided
}

// Transient reports whether the reason is an outage of a registry that
// `onUndecided: Allow` may cover for hosts that the operator named (TRUST R41).
func (r Reason) Transient() bool {
	info, known := lookupReason(r)
	return known && info.Transient
}

// Remedy returns what a person can try, or "".
func (r Reason) Remedy() string {
	info, _ := lookupReason(r)
	return info.Remedy
}

func lookupReason(r Reason) (ReasonInfo, bool) {
	i := slices.IndexFunc(reasons[:], func(info ReasonInfo) bool { return info.Reason == r })
	if i < 0 {
		return ReasonInfo{}, false
	}
	return reasons[i], true
}

// Problem says why something was not proven: what was expected, what was found
// instead, and where. It is an error; the zero Problem is Undecided.
type Problem struct {
	Reason   Reason
	Path     string // where: a requirement's path, a manifest and layer, a field
	Expected string // what would have been right; may be empty
	Got      string // what was found; may be empty
	Host     string // the registry concerned, as [github.com/bonafide-dev/bonafide/imageref.Repository.Host]; may be empty
	Err      error  // the cause; may be nil
}

// Error returns "<path>: expected <expected>, got <got>: <cause>", leaving out
// what is empty. It holds no secret.
func (p *Problem) Error() string {
	var b strings.Builder
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Sentence())
	return printable(b.String())
}

// maxCause bounds what a message repeats of its cause, in bytes: other code's
// errors repeat hostile input whole.
const maxCause = 500

// Sentence is Error without the path. It holds no control characters, whatever
// the registry has sent.
func (p *Problem) Sentence() string { return printable(p.sentence()) }

// printable spells control characters out, so that none reaches a terminal or
// begins a line in a log.
func printable(s string) string {
	if !strings.ContainsFunc(s, unprintable) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unprintable(r) {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// unprintable reports control characters, and those that change the direction of
// what follows.
func unprintable(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }

func (p *Problem) sentence() string {
	var parts []string
	if p.Expected != "" {
		parts = append(parts, "expected "+p.Expected)
	}
	if p.Got != "" {
		parts = append(parts, "got "+p.Got)
	}
	s := strings.Join(parts, ", ")
	switch {
	case p.Err == nil && s == "":
		return string(p.Reason)
	case p.Err == nil:
		return s
	}
	cause := p.Err.Error()
	if len(cause) > maxCause {
		cause = strings.ToValidUTF8(cause[:maxCause], "") + "…"
	}
	if s == "" {
		return cause
	}
	return s + ": " + cause
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Err }

// Undecided reports whether the problem means "could not tell".
func (p *Problem) Undecided() bool { return p.Reason.Undecided() }

// ProblemOf returns the Problem in err's chain. An error without one becomes a
// Problem with reason Internal, which is undecided: an unclassified error never
// decides. ProblemOf(nil) is nil.
func ProblemOf(err error) *Problem {
	if err == nil {
		return nil
	}
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return &Problem{Reason: unclassified, Err: err}
}
