// Package codec decodes request bodies into Kafka records and encodes Kafka records into
// responses. It does no I/O and knows neither HTTP nor the Kafka client's network side.
//
// Decoding has two steps, both within the memory of the request's body:
//
//  1. [DecodeProduce] walks the v2 envelope {"records":[…]} once and fills a [pool.Slab]. Every
//     key and value is a view of compact JSON text, or nil for null. Nothing is copied; white
//     space inside a value is removed in place.
//  2. The format converts that text to the bytes that Kafka stores: JSON needs no conversion,
//     binary decodes base64 in place. Formats with a schema write into an arena
//     ([EncodeRecords]), within the [Budget] of the whole request, because a short text can stand
//     for many bytes.
//
// The records therefore live exactly as long as body and arena, and the owner of body and arena
// owns them. Encoding is [AppendRecord], which writes one record as v2 JSON straight into the
// response, once.
//
// Errors are [apierr.Error] values that name the record ("records[3].value: …") and what was
// expected. Sub-packages hold what is specific to one encoding: json (the grammar), binary
// (base64), and the implementations of [Schema]: avro, a transcoder of its own that allocates
// nothing, jsonschema, which validates and leaves the bytes as they are, and protobuf, both
// around libraries. Everything here may run on any number of goroutines as long as each has its
// own body, slab and destination.
package codec
