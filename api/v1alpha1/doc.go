// Package v1alpha1 holds the native kinds of Bonafide, group bonafide.dev: what
// a [ClusterVerificationPolicy], a [VerificationPolicy], a
// [VerificationException] and an [ImageDenyList] may say. The field comments are
// the specification; package dialect/native enforces it.
//
// The package holds types alone: it reads nothing, decides nothing and
// registers nothing.
//
// A reader of these kinds MUST refuse a field that is not listed here, and a
// value that is not among those listed (TRUST R19). A field marked "not
// supported yet" is part of the language; a policy that sets it is refused by
// name rather than read as if it were absent.
//
// +kubebuilder:object:generate=true
// +groupName=bonafide.dev
package v1alpha1

// The names under which the kinds appear in a policy document.
const (
	Group        = "bonafide.dev"
	Version      = "v1alpha1"
	GroupVersion = Group + "/" + Version

	ClusterVerificationPolicyKind = "ClusterVerificationPolicy"
	VerificationPolicyKind        = "VerificationPolicy"
	VerificationExceptionKind     = "VerificationException"
	ImageDenyListKind             = "ImageDenyList"
)
