// Package entitytype keeps the types of entities: their names, their schemas, and which runner an entity
// of the type is dispatched to unless its spawn says otherwise.
//
// A type's name is the first segment of its entities' URLs, so it must not be one of the server's own
// routes. A dispatch policy is the shape in which both a type and a spawn name a runner.
package entitytype
