"""What a field of a message holds."""

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor


def message_of(field: FieldDescriptor) -> Descriptor:
    """The type of a field that holds messages."""
    assert field.message_type is not None
    return field.message_type


def enum_of(field: FieldDescriptor) -> EnumDescriptor:
    """The type of a field that holds enum values."""
    assert field.enum_type is not None
    return field.enum_type


def is_message(field: FieldDescriptor) -> bool:
    """Whether the field holds a message, or several."""
    return field.message_type is not None


def is_map(field: FieldDescriptor) -> bool:
    """Whether the field is a map."""
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def in_choice(field: FieldDescriptor) -> bool:
    """Whether the field is one of a oneof; `optional` makes a oneof of one, which does not count."""
    choice = field.containing_oneof
    return choice is not None and not (len(choice.fields) == 1 and choice.name == f"_{field.name}")


def map_types(field: FieldDescriptor) -> tuple[FieldDescriptor, FieldDescriptor]:
    """The key and the value of a map."""
    entry = message_of(field).fields_by_name
    return entry["key"], entry["value"]


def spellings(descriptor: Descriptor) -> dict[str, FieldDescriptor]:
    """The fields of a message by both their names, `snake_case` and `camelCase`."""
    return {name: field for field in descriptor.fields for name in (field.name, field.json_name)}
