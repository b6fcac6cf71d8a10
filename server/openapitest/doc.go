// Package openapitest holds every exchange of a test against docs/openapi.yaml, so that the document cannot say
// anything else than the server does.
//
// [Transport] goes around the transport of a test's HTTP client. It fails the test for an answer that the document
// does not describe: a status, a header of the protocol, a content type or a field too many, too few or of another
// type. A request is held against the document when its answer is a success; one that was refused may have been wrong
// on purpose. A path that is not in the document must be answered as one that is not there.
package openapitest
