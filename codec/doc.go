// Package codec turns request bodies into Kafka records and Kafka records into
// answers. It does no I/O and knows neither HTTP nor the Kafka client's network
// side.
//
// The way in has two steps, both within the memory of the request's body:
//
//  1. [DecodeProduce] walks the v2 envelope {"records":[…]} once and fills a
//     [pool.Slab]. Every key and value is a view of compact JSON text, or nil
//     for null. Nothing is copied; white space inside a value is removed in place.
//  2. The format makes of that text the bytes that Kafka shall hold: JSON is
//     done already, binary undoes base64 in place. Formats with a schema write
//     into an arena ([EncodeRecords]), within a [Budget] that the whole request
//     has: there a short text can stand for much.
//
// So the records live exactly as long as body and arena, and whoever owns those
// owns them. The way out is [AppendRecord], which writes one record as v2 JSON
// straight into the answer, once.
//
// Errors are [apierr.Error] values that name the record ("records[3].value: …")
// and what was expected. Sub-packages hold what is specific to one encoding:
// json (the grammar), binary (base64), and the implementations of [Schema]: avro, a
// transcoder of its own that allocates nothing, jsonschema, which validates and
// passes on, and protobuf, both around libraries. Everything here may run on any number of
// goroutines as long as each has its own body, slab and destination.
package codec
