package policy

// Outcome is the value of a requirement, a policy or a decision. The zero
// Outcome is Undecided: whoever forgets to decide has not allowed.
type Outcome uint8

// The outcomes.
const (
	Undecided Outcome = iota // it could not be told
	Denied
	Allowed
	Unmatched // no policy applies; never the value of a requirement
)

// String returns the outcome as it appears in JSON, metrics and messages.
func (o Outcome) String() string {
	switch o {
	case Denied:
		return "denied"
	case Allowed:
		return "allowed"
	case Unmatched:
		return "unmatched"
	case Undecided:
	}
	return "undecided"
}

// MarshalText implements [encoding.TextMarshaler].
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Worse returns the outcome that prevails between two policies of an image,
// after their modes: Denied > Undecided > Allowed > Unmatched.
func (o Outcome) Worse(p Outcome) Outcome {
	if rank(p) > rank(o) {
		return p
	}
	return o
}

func rank(o Outcome) int {
	switch o {
	case Denied:
		return 3
	case Allowed:
		return 1
	case Unmatched:
		return 0
	case Undecided:
	}
	return 2
}
