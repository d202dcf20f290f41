package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ImageDenyList stops images. An image on any list is denied at every door,
// whatever policies and exceptions say, and whether or not it can be verified.
//
// An image of a pattern is stopped under each of its names that the pattern
// matches; a digest stops the image in every repository. An image that runs
// already goes on until it is created anew. While a list is not Ready, every
// image could be on it, and none is decided (TRUST R18).
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=idl,categories=bonafide
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.spec.reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ImageDenyList struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	// Spec says which images are stopped, and why. Required.
	Spec ImageDenyListSpec `json:"spec"`
	// Status says what the controller made of the object. Only the controller
	// writes it; a reader of files MUST ignore it.
	//
	// +optional
	Status RulingStatus `json:"status,omitzero"`
}

// ImageDenyListSpec says which images are stopped, and why.
type ImageDenyListSpec struct {
	// Images are the images that are stopped: digests (sha256: and 64 hexadecimal
	// digits), or patterns of repositories without tag, such as ghcr.io/acme/app
	// or ghcr.io/acme/**. A tag is refused: the image that is to be stopped could
	// run under another.
	//
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	// +listType=set
	Images []DigestOrRepository `json:"images"`

	// Reason says why. It appears in every denial.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('[^ \\t\\n]')",message="the reason is for those who meet the consequences: expected words, got blanks"
	Reason string `json:"reason"`
}

// ImageDenyListList is a list of ImageDenyList.
//
// +kubebuilder:object:root=true
type ImageDenyListList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []ImageDenyList `json:"items"`
}
